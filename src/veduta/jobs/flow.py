"""The loop that keeps decoding and prediction busy at the same time.

    listing ─► ledger ─┬─ known ───────────────────────────────► window ─► sinks, in input order
                       └─ (hash) ─► decode ─► batch ─► predict ─┤
                                                                └─► ledger, one transaction a batch

Decoding runs in the pool's processes and prediction in threads that release the interpreter; this thread only hands
things on. Whatever ends elsewhere puts an event into one queue, and one loop takes them out, so no state is shared.
Memory is bounded by ``Options.look_ahead`` photos and a window of finished rows.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from veduta.errors import LedgerError, MissingExtra, NoAnswer, PhotoError
from veduta.images.decode import Limits, Photo, digest, read_bytes
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.jobs.ledger import Answer, FileState, Ledger, look_at
from veduta.jobs.listing import Listing
from veduta.jobs.plan import Plan
from veduta.jobs.rows import Result, Row, compact_json, failure_row, fits
from veduta.jobs.stages import Answered, answer_batch
from veduta.jobs.unsaved import Unsaved
from veduta.jobs.writers import Sink
from veduta.models.threads import available_threads
from veduta.records import Failure

#: Finished rows that may wait for a slow photo before them; a row takes one or two kilobytes, a thumbnail ten.
_WINDOW = 2048
#: Photos that are started before the loop looks again at what else has happened.
_PORTION = 128
#: Two batches are predicted at a time, so that one keeps the cores busy while the other's rows are built.
_BATCHES_AT_ONCE = 2
#: A batch that does not fill is sent after this long without any event.
_PATIENCE_SECONDS = 0.5
_PROGRESS_SECONDS = 0.1


@dataclass(slots=True)
class Counts:
    """Where a job stands: photos in all; finished; and of the finished those answered, failed, known before, and
    answered with "nothing fits"."""

    total: int = 0
    done: int = 0
    answered: int = 0
    failed: int = 0
    from_ledger: int = 0
    nothing_fits: int = 0


@dataclass(slots=True)
class _Item:
    """A photo on its way. ``answer`` is what the ledger knows, where only pictures of it are missing."""

    position: int
    path: str
    state: FileState | None
    answer: Answer | None = None
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    """A finished photo that waits for those before it: a stored row, or a failure."""

    path: str
    digest: str = ""
    stored: Row | None = None
    failure: Failure | None = None
    embedding: bytes | None = None
    thumbnail: bytes | None = None
    overlay: bytes | None = None


class Flow:
    """One job's state. Its methods run in one thread; the pool and the threads only put events into the queue."""

    def __init__(
        self,
        plan: Plan,
        *,
        ledger: Ledger,
        sinks: Sequence[Sink],
        pool: DecodePool,
        limits: Limits,
        progress: Callable[[Counts], None] | None,
    ) -> None:
        self.counts = Counts()
        self._plan, self._ledger, self._sinks, self._pool, self._limits = plan, ledger, sinks, pool, limits
        self._progress, self._progress_told = progress, 0.0
        self._unsaved = Unsaved(ledger)
        self._events: queue.SimpleQueue[tuple[Callable[..., None], Any, Future[Any]]] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="veduta-predict")
        self._hashers = ThreadPoolExecutor(available_threads(), thread_name_prefix="veduta-hash")
        # Photos in memory are hashed or decoded now, ready for a batch, in a batch, or wait for their twin.
        self._in_memory = self._coming = self._batches = 0
        self._ready: list[_Item] = []
        self._twins: dict[str, list[_Item]] = {}
        self._stopping = self._warming = False
        self._window: dict[int, _Done] = {}
        self._started = self._shown = 0

    def run(self, listing: Listing) -> bool:
        """Go through the listing; False if the user interrupted it. What is answered is committed in any case."""
        self.counts = Counts(total=listing.total)
        try:
            self._loop(iter(listing), listing.total)
        except KeyboardInterrupt:
            self._stop()
            return False
        except BaseException as error:
            self._stopping = True
            if not isinstance(error, LedgerError):
                with suppress(LedgerError):
                    self._unsaved.commit()
            raise
        finally:
            self._hashers.shutdown(wait=True, cancel_futures=True)
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._unsaved.commit()
        self._tell_progress(last=True)
        return True

    def _stop(self) -> None:
        """Let the batches that are being predicted end, keep their answers, and start nothing else."""
        self._stopping = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._handle_events(wait=0)
        self._unsaved.commit()

    def _loop(self, paths: Iterator[str], total: int) -> None:
        patient = True
        while self._shown < total:
            self._start_some(paths)
            self._send_batches(partial=not self._coming or not patient)
            self._show()
            self._unsaved.commit_if_due()
            full = self._started == total or not self._has_room()
            patient = self._handle_events(_PATIENCE_SECONDS if full and self._in_memory else 0)

    # Starting

    def _has_room(self) -> bool:
        return self._in_memory < self._plan.options.look_ahead and self._started - self._shown < _WINDOW

    def _start_some(self, paths: Iterator[str]) -> None:
        for _ in range(_PORTION):
            if not self._has_room():
                return
            path = next(paths, None)
            if path is None:
                return
            self._start(path)
            self._started += 1

    def _start(self, path: str) -> None:
        try:
            state = look_at(path)
        except (OSError, ValueError):
            state = None  # the decoder will say what is wrong
        item = _Item(self._started, path, state)
        known = None if state is None else self._ledger.digest_of(state)
        answer = None if known is None else self._recall(known)
        if answer is not None:
            self._use(item, answer)
            return
        self._in_memory += 1
        if known is None and state is not None and self._ledger.had_size(state.size):
            self._coming += 1
            self._await(self._hashers.submit(_hash, path, self._limits), self._hashed, item)
        else:
            self._decode(item)

    def _decode(self, item: _Item) -> None:
        if not self._warming:
            # While the first photo is decoded. What goes wrong here, the first batch will tell.
            self._warming = True
            for tagger in self._plan.taggers:
                self._threads.submit(tagger.warm_up)
        self._coming += 1
        self._await(self._pool.submit(item.path, self._plan.wanted), self._decoded, item)

    def _recall(self, content: str) -> Answer | None:
        """What is known of a content: an answer, or a failure if those are not to be tried again."""
        if self._plan.options.retry_failed:
            return self._unsaved.find(content, self._plan.answers_as)
        return self._unsaved.find(content, self._plan.answers_as, self._plan.fails_as)

    # Events

    def _await(self, future: Future[Any], then: Callable[..., None], what: Any) -> None:
        future.add_done_callback(lambda done: self._events.put((then, what, done)))

    def _handle_events(self, wait: float) -> bool:
        """Handle all that has happened; where nothing has, wait so many seconds. False if that was in vain."""
        try:
            then, what, future = self._events.get(timeout=wait) if wait else self._events.get_nowait()
        except queue.Empty:
            return not wait
        while True:
            then(what, future)
            try:
                then, what, future = self._events.get_nowait()
            except queue.Empty:
                return True

    def _hashed(self, item: _Item, future: Future[str]) -> None:
        self._coming -= 1
        if self._stopping:
            return
        try:
            content = future.result()
        except PhotoError:
            self._decode(item)  # the decoder says what is wrong
            return
        answer = self._recall(content)
        if answer is None:
            self._decode(item)
            return
        self._in_memory -= 1
        self._unsaved.add_file(item.state, content)
        self._use(item, answer)

    def _decoded(self, item: _Item, future: Future[Photo]) -> None:
        self._coming -= 1
        try:
            photo = future.result()
        except (PhotoError, MissingExtra) as error:
            self._fail(item, error)
            return
        self._unsaved.add_file(item.state, photo.digest)
        item.photo = photo
        answer = self._recall(photo.digest)
        item.answer = answer if answer is not None and answer.state == "answered" else None
        if photo.digest in self._twins:
            self._twins[photo.digest].append(item)
        elif item.answer is None or self._lacks_overlay(item.answer):
            self._twins[photo.digest] = []
            self._ready.append(item)
        else:
            self._in_memory -= 1
            self._finish(item, item.answer)

    def _send_batches(self, partial: bool) -> None:
        size = self._plan.options.batch
        while self._ready and self._batches < _BATCHES_AT_ONCE and (partial or len(self._ready) >= size):
            items, self._ready = self._ready[:size], self._ready[size:]
            photos = [item.photo for item in items if item.photo is not None]
            known = [item.answer.row if item.answer is not None else None for item in items]
            self._batches += 1
            self._await(self._threads.submit(answer_batch, photos, known, self._plan), self._answered, items)

    def _answered(self, items: list[_Item], future: Future[list[Answered | NoAnswer]]) -> None:
        self._batches -= 1
        if future.cancelled():
            return
        for item, answered in zip(items, future.result(), strict=True):
            assert item.photo is not None
            if isinstance(answered, NoAnswer):
                for one in (item, *self._twins.pop(item.photo.digest)):
                    self._fail(one, answered)
                continue
            content, size = item.photo.digest, 0 if item.state is None else item.state.size
            embedding = answered.embedding if item.answer is None else item.answer.embedding
            answer = Answer(
                content, self._plan.answers_as, size, "answered", answered.text, embedding, answered.overlay
            )
            self._unsaved.add(answer)
            for one in (item, *self._twins.pop(content)):
                self._in_memory -= 1
                self._finish(one, answer, answered.stored)

    # Finishing

    def _use(self, item: _Item, answer: Answer) -> None:
        """Finish a photo whose content is known, unless it must be decoded for its pictures."""
        if answer.state == "failed":
            self._finish_failed(item, _failure_of(item.path, answer), known=True)
            return
        options = self._plan.options
        thumbnail = None if options.kept_thumbnail is None else options.kept_thumbnail(answer.digest)
        if (options.thumbnail is not None and thumbnail is None) or self._lacks_overlay(answer):
            self._in_memory += 1
            self._decode(item)
            return
        item.answer = answer
        self._finish(item, answer, thumbnail=thumbnail)

    def _lacks_overlay(self, answer: Answer) -> bool:
        return self._plan.map_input is not None and answer.overlay is None

    def _fail(self, item: _Item, error: PhotoError | MissingExtra) -> None:
        """A photo can't be decoded. It is remembered by its content, if that could be read."""
        self._in_memory -= 1
        name, message = type(error).__name__, str(error)
        content = error.digest if isinstance(error, PhotoError) else None
        if content is not None:
            size = 0 if item.state is None else item.state.size
            # Without the path, because the same content may lie elsewhere next time.
            row = compact_json({"error": name, "message": message.split(printable(item.path))})
            self._unsaved.add(Answer(content, self._plan.fails_as, size, "failed", row))
            self._unsaved.add_file(item.state, content)
        self._finish_failed(item, Failure(item.path, name, message), known=False)

    def _finish_failed(self, item: _Item, failure: Failure, known: bool) -> None:
        self.counts.failed += 1
        self._put(item, _Done(item.path, failure=failure), known)

    def _finish(self, item: _Item, answer: Answer, stored: Row | None = None, thumbnail: bytes | None = None) -> None:
        row: Row = json.loads(answer.row) if stored is None else stored
        at = self._plan.thumbnail_input
        if item.photo is not None and at is not None:
            thumbnail = bytes(item.photo.inputs[at])
        overlay = None if self._plan.map_input is None else answer.overlay
        self.counts.answered += 1
        self.counts.nothing_fits += not fits(row)
        done = _Done(item.path, answer.digest, row, None, answer.embedding, thumbnail, overlay)
        self._put(item, done, known=item.answer is not None)

    def _put(self, item: _Item, done: _Done, known: bool) -> None:
        self.counts.done += 1
        self.counts.from_ledger += known
        self._window[item.position] = done

    def _show(self) -> None:
        """Hand the finished photos to the sinks, up to the first that is not finished."""
        while (done := self._window.pop(self._shown, None)) is not None:
            self._shown += 1
            if not self._sinks:
                continue
            if done.stored is not None:
                row = self._plan.shown(done.stored, done.path, done.digest)
            else:
                assert done.failure is not None
                row = failure_row(done.failure)
            result = Result(row, done.embedding, done.thumbnail, done.overlay)
            for sink in self._sinks:
                sink.write(result)
        self._tell_progress()

    def _tell_progress(self, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress is not None and (last or now - self._progress_told >= _PROGRESS_SECONDS):
            self._progress_told = now
            self._progress(replace(self.counts))


def _hash(path: str, limits: Limits) -> str:
    return digest(read_bytes(path, limits))


def _failure_of(path: str, answer: Answer) -> Failure:
    stored = json.loads(answer.row)
    return Failure(path, stored["error"], printable(path).join(stored["message"]))
