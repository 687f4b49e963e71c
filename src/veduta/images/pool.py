"""Decoding in processes that may die: one thread of ours for each, so that a death is known to be one photo's."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, cast

from veduta.errors import DecoderDied, NoDecoder, PhotoError, PhotoTooSlow, UsageError
from veduta.images import wire
from veduta.images.decode import Limits, Photo, Wanted, read_bytes
from veduta.images.decode import digest as digest_of
from veduta.images.limits import printable

# The next request waits in the pipe while a photo is decoded, so the process never waits for us.
_AHEAD = 2
_TRIES = 2
# A process that has not said hello by then will not; a loaded machine starts one in a few seconds.
_START_SECONDS = 60.0
_START_TRIES = 3
_START_PAUSE = 0.2
_PIPE_BYTES = 2**20
_PIPE_SIZE_COMMAND = 1031  # F_SETPIPE_SZ, which Python 3.11 does not name on every build


@dataclass(slots=True)
class _Task:
    path: str
    wanted: tuple[Wanted, ...]
    data: bytes | None = field(default=None, repr=False)
    future: Future[Photo] = field(default_factory=Future)
    tries: int = 0

    def forget(self, future: Future[Photo]) -> None:
        """The content of a photo that was cancelled waits for nothing, though its task is still in the queue."""
        self.data = None


class DecodePool:
    """Processes that decode photos, each answer a Future, in any order.

    Nothing is bounded here: whoever submits decides how many photos are under way. A process that dies costs one photo
    at most: it is tried once more in a fresh process and then fails with DecoderDied; photos behind it are untouched.
    With ``recycle_after`` a process ends after so many photos and a fresh one takes its place, so that what a library
    leaks or hostile bytes left behind does not last. Without ``send_ahead`` no photo waits behind another in a process
    that is busy: throughput falls a little, but a slow photo delays nobody who came after it. ``command`` starts
    another program than our worker, which then gets the limits as its last argument.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits = Limits(),  # noqa: B008
        *,
        recycle_after: int | None = None,
        send_ahead: bool = True,
        command: Sequence[str] | None = None,
    ) -> None:
        if workers < 1:
            raise UsageError(f"A pool of {workers} decoding processes can't work; it needs at least 1.")
        if recycle_after is not None and recycle_after < 1:
            raise UsageError(f"A process can't end after {recycle_after} photos; give 1 or more, or None for never.")
        self.limits = limits
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        command = (*(command or worker_command()), json.dumps(asdict(limits)))
        self._lanes: list[_Lane] = []
        for _ in range(workers):
            self._lanes.append(
                _Lane(self._tasks, self._closing, limits, command, self._lanes, recycle_after, send_ahead)
            )
        for lane in self._lanes:
            lane.thread.start()
        self._watchdog = threading.Thread(target=self._watch, name="decode-watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, path: str, wanted: Sequence[Wanted], data: bytes | None = None) -> Future[Photo]:
        """Decode a file as ``decode`` does; the Future holds the Photo or a PhotoError.

        Where ``data`` is given, it is the file's content, and ``path`` only its name in sentences.
        """
        if self._closing.is_set():
            raise UsageError("The decoding pool is closed; open a new one.")
        task = _Task(path, tuple(wanted), data)
        if data is not None:
            task.future.add_done_callback(task.forget)
        self._tasks.put(task)
        return task.future

    def digest(self, path: str) -> str:
        """The digest of a file's content, in the calling thread. Raises as ``read_bytes`` does."""
        return digest_of(read_bytes(path, self.limits))

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers that live now."""
        # Read once each: a lane may end its process at any moment.
        living = [process for lane in self._lanes if (process := lane.process) is not None]
        return [process.pid for process in living if process.poll() is None]

    def close(self) -> None:
        """End the processes at once; photos that are not decoded yet are cancelled."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(queue.Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task.future.cancel()
        for lane in self._lanes:
            self._tasks.put(None)
            lane.kill()
        for lane in self._lanes:
            lane.thread.join()
        self._watchdog.join()

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self) -> None:
        """Kill what has passed its deadline; its lane then finds the pipe closed."""
        pause = min(0.25, self.limits.max_seconds / 10)
        while not self._closing.wait(pause):
            now = time.monotonic()
            for lane in self._lanes:
                lane.kill_if_late(now)


class _Lane:
    """One worker process and the thread that feeds it; a new process takes the place of one that died."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        closing: threading.Event,
        limits: Limits,
        command: Sequence[str],
        lanes: Sequence[_Lane],
        recycle_after: int | None,
        send_ahead: bool,
    ) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.waiting = True
        self._tasks, self._closing, self._limits, self._command = tasks, closing, limits, command
        self._lanes, self._recycle_after, self._send_ahead = lanes, recycle_after, send_ahead
        self._lock = threading.Lock()
        self._deadline = float("inf")
        self._current: _Task | None = None
        self._late: _Task | None = None
        self._failed_starts = self._served = 0
        self._errors: IO[bytes] | None = None
        self._sent: deque[_Task] = deque()
        self._again: deque[_Task] = deque()
        self.thread = threading.Thread(target=self._run, name="decode-lane", daemon=True)

    def kill(self) -> None:
        """End the process at once."""
        with self._lock:
            if self.process is not None:
                self.process.kill()

    def kill_if_late(self, now: float) -> None:
        """End the process if the photo it decodes is past its deadline."""
        with self._lock:
            if now > self._deadline and self.process is not None:
                self._late = self._current
                self._deadline = float("inf")
                self.process.kill()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                try:
                    if self.process is None:
                        self._start()
                    if not self._fill():
                        return
                    self._receive()
                except Exception as error:
                    # Whatever is wrong with a process, a new one takes its place: no photo may wait for ever.
                    self._bury(error)
        finally:
            self._end()
            for task in (*self._sent, *self._again):
                _fail(task, PhotoError(f"{printable(task.path)} was not decoded, because the run was stopped."))

    def _fill(self) -> bool:
        """Send requests until enough are ahead; waits only where none is. False when the pool closes."""
        assert self.process is not None
        requests = cast(BinaryIO, self.process.stdin)
        while not self._sent or self._may_send_ahead():
            self.waiting = not self._sent
            task = self._next_task(wait=self.waiting)
            self.waiting = False
            if task is None:
                return bool(self._sent)
            if self._sent and task.data is not None:
                # A photo in a request would fill the pipe, while the process fills the other with an answer.
                self._again.appendleft(task)
                return True
            self._sent.append(task)
            if len(self._sent) == 1:
                self._set_deadline(task)
            for piece in wire.request(task.path, task.wanted, task.data):
                frame = memoryview(piece)
                while frame:
                    frame = frame[requests.write(frame) :]
        return True

    def _may_send_ahead(self) -> bool:
        if not self._send_ahead:
            return False
        # A photo is taken ahead only where no other process is idle, and none before the process is replaced.
        idle = any(lane.waiting for lane in self._lanes)
        return len(self._sent) < _AHEAD and not idle and not self._again and not self._is_due()

    def _is_due(self) -> bool:
        return self._recycle_after is not None and self._served + len(self._sent) >= self._recycle_after

    def _next_task(self, *, wait: bool) -> _Task | None:
        if self._again:
            return self._again.popleft()
        while True:
            try:
                task = self._tasks.get(block=wait)
            except queue.Empty:
                return None
            if task is None or task.future.set_running_or_notify_cancel():
                return task

    def _receive(self) -> None:
        """Take the answer to the oldest request."""
        assert self.process is not None
        task = self._sent[0]
        photo = wire.read_photo(cast(BinaryIO, self.process.stdout), task.wanted)
        self._sent.popleft()
        self._set_deadline(self._sent[0] if self._sent else None)
        if isinstance(photo, PhotoError):
            _fail(task, photo)
        else:
            task.future.set_result(photo)
        self._served += 1
        if not self._sent and self._is_due():
            self._end()

    def _set_deadline(self, task: _Task | None) -> None:
        """The deadline of the photo that the process decodes now; None: it decodes none."""
        with self._lock:
            self._current = task
            self._deadline = float("inf") if task is None else time.monotonic() + self._limits.max_seconds

    def _start(self) -> None:
        """Start a process and wait for its hello, which comes before any photo and has a deadline of its own."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        with self._lock:
            if self._closing.is_set():
                raise wire.BrokenFrame("the pool closes")
            self._late = None
            self._deadline = time.monotonic() + _START_SECONDS
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env=worker_environment(),
            )
        assert self.process.stdout is not None
        _enlarge(self.process.stdout)
        try:
            wire.read_header(cast(BinaryIO, self.process.stdout))
        except wire.BrokenFrame as error:
            raise wire.BrokenFrame(self._last_words()) from error
        self._set_deadline(None)
        self._failed_starts = self._served = 0

    def _last_words(self) -> str:
        assert self.process is not None
        assert self._errors is not None
        self.process.kill()
        self.process.wait()
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return printable(lines[-1]) if lines else f"exit status {self.process.returncode}"

    def _bury(self, error: Exception) -> None:
        """The process is gone: the oldest request was its photo, the others had not begun."""
        if self._closing.is_set():
            return
        self._end()
        if not self._sent:
            self._failed_starts += 1
            if self._failed_starts < _START_TRIES:
                self._closing.wait(_START_PAUSE)
                return
            # No process starts at all, so waiting photos are told instead of being tried without end.
            task = self._next_task(wait=True)
            if task is not None:
                reason = f"no decoding process starts ({error})"
                _fail(task, NoDecoder(f"{printable(task.path)} was not decoded, {reason}; repair the installation."))
            return
        culprit, *others = self._sent
        self._sent.clear()
        self._again.extendleft(reversed(others))
        culprit.tries += 1
        if self._late is culprit:
            _fail(
                culprit,
                PhotoTooSlow(
                    f"{printable(culprit.path)} took longer than {self._limits.max_seconds:g} s to decode; "
                    "raise the limit of seconds or save the photo anew."
                ),
            )
        elif culprit.tries < _TRIES:
            self._again.appendleft(culprit)
        else:
            _fail(
                culprit,
                DecoderDied(
                    f"{printable(culprit.path)} ended the process that decoded it, twice; "
                    "save the photo anew with another program."
                ),
            )

    def _end(self) -> None:
        self._set_deadline(None)
        process, errors = self.process, self._errors
        with self._lock:
            self.process, self._errors = None, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()
        if errors is not None:
            errors.close()


def worker_command() -> list[str]:
    """How a worker is started: without the working directory on the path, where a photo folder could hold modules."""
    return [sys.executable, "-P", "-m", "veduta.images.worker"]


def worker_environment() -> dict[str, str]:
    """Our environment, with the path to this package, one thread, and an allocator that gives memory back."""
    # A decoder that a hostile photo has taken over must find no keys.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VEDUTA_SERVER_")}
    root = str(Path(__file__).resolve().parents[2])
    if root not in [*site.getsitepackages(), site.getusersitepackages()]:
        inherited = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, inherited]))
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment.setdefault("MALLOC_ARENA_MAX", "1")
    return environment


def _enlarge(stream: IO[bytes]) -> None:
    """A pipe that holds a whole answer lets the process go on to the next photo before we have read it (Linux)."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), _PIPE_SIZE_COMMAND, _PIPE_BYTES)


def _fail(task: _Task, error: PhotoError) -> None:
    task.future.set_exception(error)
