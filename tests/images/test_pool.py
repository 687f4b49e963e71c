"""The pool: its answers are decode's, a death is known to be one photo's, and nothing waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from veduta.errors import (
    DecoderDied,
    NoDecoder,
    PhotoError,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoTooSlow,
    UnsupportedFormat,
    UsageError,
)
from veduta.images.decode import Limits, Thumbnail, Wanted, decode, read_bytes
from veduta.images.pool import DecodePool, worker_environment
from veduta.images.preprocess import Preprocessing

WANTED: tuple[Wanted, ...] = (
    Preprocessing("crop", ((48, 48),), "bicubic", 48),
    Thumbnail(64),
    Preprocessing("stretch", ((48, 64), (64, 48)), "bilinear"),
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")

# A program in the place of the worker: it dies, hangs or babbles on files of certain names, and else decodes.
WRAPPER = """
import os, signal, sys, time
from veduta.images import worker
served = worker._serve
def serve(request, limits, content):
    name = os.path.basename(request["path"])
    if "segv" in name: os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in name: os._exit(0)
    if "once" in name and not os.path.exists(request["path"] + ".seen"):
        open(request["path"] + ".seen", "w").close()
        os._exit(1)
    if "hang" in name: time.sleep(3600)
    if "print" in name: print("a library greets", flush=True); os.write(1, b"and again")
    if "junk" in name: return [b"\\xff" * 4096]
    return served(request, limits, content)
worker._serve = serve
worker.main(sys.argv[1:])
"""


@pytest.fixture(name="photos")
def _photos(tmp_path: Path, encode: Callable[..., bytes], scenery: Callable[[int, int], Image.Image]) -> Path:
    data = encode(scenery(160, 120), "JPEG")
    for index in range(12):
        (tmp_path / f"photo-{index:02}.jpg").write_bytes(data)
    return tmp_path


def put(photos: Path, name: str) -> str:
    path = photos / name
    path.write_bytes((photos / "photo-00.jpg").read_bytes())
    return str(path)


def wrapped(workers: int = 1, **limits: float) -> DecodePool:
    return DecodePool(workers, Limits(**limits), command=[sys.executable, "-P", "-c", WRAPPER])  # type: ignore[arg-type]


def test_the_pool_answers_as_decode_does(photos: Path) -> None:
    paths = [str(path) for path in sorted(photos.glob("*.jpg"))]
    with DecodePool(2) as pool:
        answers = [future.result() for future in [pool.submit(path, WANTED) for path in paths]]
        assert pool.digest(paths[0]) == answers[0].digest
    for path, answer in zip(paths, answers, strict=True):
        expected = decode(read_bytes(path), WANTED)
        assert (answer.facts, answer.digest, answer.boxes) == (expected.facts, expected.digest, expected.boxes)
        assert answer.inputs[1] == expected.inputs[1]
        assert all(np.array_equal(answer.inputs[index], expected.inputs[index]) for index in (0, 2))


def test_bytes_in_memory_are_decoded_like_the_file_that_they_came_from(photos: Path) -> None:
    path = photos / "photo-00.jpg"
    with DecodePool(1) as pool:
        for name in ("upload.jpg", "../../etc/passwd", "a\nb\x00.jpg"):
            photo = pool.submit(name, WANTED, path.read_bytes()).result()
            assert photo.digest == decode(path.read_bytes(), WANTED).digest
            assert np.array_equal(photo.pixels(0), decode(path.read_bytes(), WANTED).pixels(0))
        error = pool.submit("nothing.jpg", WANTED, b"").exception()
    assert isinstance(error, PhotoError)
    assert "nothing.jpg is empty" in str(error)


def test_many_large_photos_in_memory_do_not_block_each_other(
    encode: Callable[..., bytes], scenery: Callable[[int, int], Image.Image]
) -> None:
    # Request and answer are larger than a pipe: were a second request sent ahead, both sides would wait for ever.
    data = encode(scenery(900, 700), "BMP")
    big: tuple[Wanted, ...] = (Preprocessing("stretch", ((1024, 1024),), "bilinear"),)
    with DecodePool(1) as pool:
        answers = [pool.submit("big.bmp", big, data) for _ in range(8)]
        assert {answer.result(timeout=60).pixels(0).shape for answer in answers} == {(1024, 1024, 3)}


def test_a_process_is_replaced_after_its_share_of_photos(photos: Path) -> None:
    data = (photos / "photo-00.jpg").read_bytes()
    seen: list[int] = []
    with DecodePool(1, recycle_after=3) as pool:
        for number in range(9):
            future = (
                pool.submit("upload.jpg", WANTED, data)
                if number % 2
                else pool.submit(str(photos / "photo-00.jpg"), WANTED)
            )
            future.result()
            seen += [pid for pid in pool.processes if pid not in seen]
        batch = [pool.submit(str(photos / "photo-01.jpg"), WANTED) for _ in range(20)]
        assert all(future.exception() is None for future in batch)
    assert len(seen) >= 3


def test_failures_come_as_their_own_errors_with_digest(photos: Path) -> None:
    (photos / "page.jpg").write_bytes(b"<html>")
    odd = photos / "two\nlines <b>.jpg"
    odd.write_bytes(b"%!PS")
    with DecodePool(1, Limits(max_pixels=19_200)) as pool:
        refused = pool.submit(str(photos / "page.jpg"), WANTED).exception()
        assert isinstance(refused, UnsupportedFormat)
        assert refused.digest == pool.digest(str(photos / "page.jpg"))
        gone = pool.submit(str(photos / "gone.jpg"), WANTED).exception()
        assert isinstance(gone, PhotoNotFound)
        assert gone.digest is None
        assert r"two\nlines <b>.jpg seems to be an EPS" in str(pool.submit(str(odd), WANTED).exception())
        assert pool.submit(str(photos / "photo-00.jpg"), WANTED).exception() is None
    with DecodePool(1, Limits(max_pixels=19_199)) as pool:
        assert isinstance(pool.submit(str(photos / "photo-00.jpg"), WANTED).exception(), PhotoTooLarge)


def test_names_that_are_no_text_reach_the_worker(photos: Path) -> None:
    path = os.fsdecode(os.fsencode(photos) + b"/\xff\xfe.jpg")
    try:
        Path(path).write_bytes((photos / "photo-00.jpg").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    with DecodePool(1) as pool:
        assert pool.submit(path, WANTED).result().facts.width == 160


@posix
@pytest.mark.parametrize("death", ["segv.jpg", "exit.jpg", "junk.jpg"])
def test_a_photo_that_kills_its_process_twice_fails_alone(photos: Path, death: str) -> None:
    paths = [str(path) for path in sorted(photos.glob("photo-*.jpg"))]
    paths.insert(5, put(photos, death))
    with wrapped(2) as pool:
        errors = [future.exception() for future in [pool.submit(path, WANTED) for path in paths]]
    assert isinstance(errors[5], DecoderDied)
    assert death in str(errors[5])
    assert [error for index, error in enumerate(errors) if index != 5] == [None] * 12


@posix
def test_a_death_that_does_not_come_again_costs_nothing(photos: Path) -> None:
    with wrapped() as pool:
        assert pool.submit(put(photos, "once.jpg"), WANTED).result().facts.width == 160


@posix
def test_processes_killed_from_outside_in_the_middle_of_a_run_lose_no_photo(photos: Path) -> None:
    paths = [str(path) for path in sorted(photos.glob("photo-*.jpg"))] * 20
    with DecodePool(2) as pool:
        futures = [pool.submit(path, WANTED) for path in paths]
        # One of each pair of hands, so that no photo is hit twice.
        futures[20].exception()
        for pid in pool.processes:
            os.kill(pid, signal.SIGSEGV)
        assert [future.exception() for future in futures] == [None] * len(paths)


@posix
def test_a_photo_over_the_deadline_fails_alone_and_those_behind_it_are_answered(photos: Path) -> None:
    paths = [put(photos, "hang.jpg"), *(str(path) for path in sorted(photos.glob("photo-*.jpg")))]
    with wrapped(1, max_seconds=1.0) as pool:
        errors = [future.exception() for future in [pool.submit(path, WANTED) for path in paths]]
    assert isinstance(errors[0], PhotoTooSlow)
    assert "longer than 1 s" in str(errors[0])
    assert errors[1:] == [None] * 12


@posix
def test_what_a_library_prints_does_not_reach_the_answers(photos: Path) -> None:
    with wrapped() as pool:
        assert pool.submit(put(photos, "print.jpg"), WANTED).exception() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is enforced on Linux")
def test_memory_over_the_limit_is_refused_by_the_system() -> None:
    code = (
        "from veduta.images.worker import limit_memory\n"
        "limit_memory(50_000_000)\n"
        "small = bytearray(20_000_000)\n"
        "try: bytearray(200_000_000)\n"
        "except MemoryError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=worker_environment()
    )
    assert done.stdout.strip() == "refused"


def test_a_pool_whose_processes_do_not_start_says_so(photos: Path) -> None:
    with DecodePool(1, command=[sys.executable, "-c", "raise SystemExit('no such thing')"]) as pool:
        error = pool.submit(str(photos / "photo-00.jpg"), WANTED).exception()
        assert isinstance(error, NoDecoder)
        assert "no such thing" in str(error)
    with DecodePool(1, command=["/nowhere/to/be/found"]) as pool:
        assert isinstance(pool.submit(str(photos / "photo-00.jpg"), WANTED).exception(), NoDecoder)
    with pytest.raises(UsageError, match="at least 1"):
        DecodePool(0)


@posix
def test_closing_cancels_what_waits_and_ends_every_process(photos: Path) -> None:
    pool = wrapped(2)
    futures = [pool.submit(put(photos, f"hang-{index}.jpg"), WANTED) for index in range(6)]
    while len(pool.processes) < 2:
        time.sleep(0.01)
    pids = pool.processes
    pool.close()
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert all(future.done() for future in futures)
    for future in futures:
        with pytest.raises((CancelledError, PhotoError)):
            future.result()
    with pytest.raises(UsageError, match="closed"):
        pool.submit("photo.jpg", WANTED)


@posix
def test_workers_end_when_their_parent_is_killed(photos: Path) -> None:
    code = (
        "import sys, time\n"
        "from veduta.images.pool import DecodePool\n"
        "pool = DecodePool(2)\n"
        f"pool.submit({str(photos / 'photo-00.jpg')!r}, ()).result()\n"
        "while len(pool.processes) < 2: time.sleep(0.01)\n"
        "print(*pool.processes, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=worker_environment())
    assert parent.stdout is not None
    with parent, parent.stdout:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    gone, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE], (gone, alive)


@posix
def test_an_interrupt_is_left_to_the_parent(photos: Path) -> None:
    with DecodePool(1) as pool:
        assert pool.submit(str(photos / "photo-00.jpg"), WANTED).exception() is None
        pids = pool.processes
        os.kill(pids[0], signal.SIGINT)
        assert pool.submit(str(photos / "photo-01.jpg"), WANTED).exception() is None
        assert pool.processes == pids


def test_a_worker_gets_no_settings_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_SERVER_API_KEYS", "a secret")
    assert not [name for name in worker_environment() if name.startswith("VEDUTA_SERVER_")]


def test_a_worker_imports_this_room_alone() -> None:
    code = (
        "import sys; import veduta.images.worker;"
        "heavy = {'openvino', 'rich', 'typer', 'torch', 'onnxruntime', 'sklearn', 'veduta.models', 'veduta.labels'};"
        "print(sorted(heavy & set(sys.modules)),"
        " sorted(name for name in sys.modules if name.startswith('veduta.') and not name.startswith('veduta.images')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=worker_environment()
    )
    assert done.stdout.strip() == "[] ['veduta.errors', 'veduta.records']"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_workers_memory_is_flat_over_thousands_of_photos(shared_data: Path) -> None:
    paths = [str(path) for path in sorted((shared_data / "sun27").rglob("*.*")) if path.is_file()]
    paths = (paths * 14)[:20_000]
    resident: list[float] = []
    with DecodePool(1) as pool:
        waiting = []
        for index, path in enumerate(paths):
            waiting.append(pool.submit(path, WANTED))
            if len(waiting) >= 8:
                waiting.pop(0).exception()
            if index % 1000 == 999:
                resident.append(psutil.Process(pool.processes[0]).memory_info().rss / 2**20)
        for future in waiting:
            future.exception()
    print("MB resident after each thousand:", " ".join(f"{value:.0f}" for value in resident))
    assert max(resident) <= 1.1 * resident[0]
