"""Real odd files and made bombs: answered or refused with a sentence, quickly, in little memory."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from veduta.errors import PhotoError, UnsupportedFormat
from veduta.images.decode import Limits, Photo, Thumbnail, decode, read_bytes
from veduta.images.pool import DecodePool
from veduta.images.preprocess import Preprocessing

WANTED = (Preprocessing("crop", ((128, 128),), "bicubic", 128), Thumbnail(160))
Maker = Callable[..., bytes]


def outcome(data: bytes) -> Photo | PhotoError:
    try:
        return decode(data, WANTED, name="bomb")
    except PhotoError as error:
        return error


def test_every_malformed_file_is_answered_or_refused_and_no_process_dies(shared_data: Path) -> None:
    files = sorted(path for path in (shared_data / "malformed").rglob("*") if path.is_file())
    slowest = (0.0, "")
    # A photo that hangs is stopped at the deadline: a PhotoTooSlow, which is neither answer nor known by its content.
    with DecodePool(1, Limits(max_seconds=5)) as pool:
        pids = pool.processes
        for path in files:
            started = time.perf_counter()
            error = pool.submit(str(path), WANTED).exception()
            slowest = max(slowest, (time.perf_counter() - started, path.name))
            pids = pids or pool.processes
            if path.parent.name == "decodable":
                assert error is None, path.name
            elif path.suffix == ".heic":
                assert error is None or isinstance(error, UnsupportedFormat)
            else:
                assert isinstance(error, PhotoError), path.name
                assert error.digest
                assert str(error).endswith(".")
                assert path.name in str(error)
        assert pool.processes == pids
    print(f"{len(files)} malformed files, the slowest {slowest[1]} in {slowest[0]:.2f} s")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_zeros(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of one bit a pixel, all rows alike, compressed without ever holding them."""
    packer, rows = zlib.compressobj(9), (1 + (width + 7) // 8) * height
    body = b"".join(packer.compress(bytes(min(2**20, rows - at))) for at in range(0, rows, 2**20)) + packer.flush()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def bombs(tiff: Maker, encode: Maker, scenery: Maker) -> Iterator[tuple[str, bytes]]:
    photo = scenery(400, 300)
    jpeg = encode(photo, "JPEG")
    app = b"\xff\xe1\xff\xff" + (b"Exif\0\0" + b"MM\0*\0\0\0\x08\xff\xff").ljust(0xFFFD, b"\xff")
    icc = b"".join(
        b"\xff\xe2\xff\xff" + (b"ICC_PROFILE\0" + bytes([part, 255])).ljust(0xFFFD, b"x") for part in range(1, 256)
    )
    frames = io.BytesIO()
    photo.quantize(4).resize((16, 16)).save(frames, "GIF")
    gif = frames.getvalue()
    looping = bytearray(encode(photo, "TIFF"))
    order = "<" if looping[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", looping, 4)
    (count,) = struct.unpack_from(order + "H", looping, first)
    struct.pack_into(order + "I", looping, first + 2 + 12 * count, first)
    yield "PNG of 50,000 by 50,000", png_of_zeros(50_000, 50_000)
    yield (
        "GIF of 100,000 frames",
        gif[:-1] + gif[gif.index(b"\x21\xf9") if b"\x21\xf9" in gif else gif.index(b",") : -1] * 100_000 + b";",
    )
    yield "GIF of 65,535 by 65,535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "TIFF whose directory loops", bytes(looping)
    yield "TIFF of two directories that name each other", tiff([{0x014A: (4, (8,) * 9)}] * 40)
    yield "JPEG of 1,000 EXIF segments", jpeg[:2] + app * 1000 + jpeg[2:]
    yield "JPEG of a 16 MB profile", jpeg[:2] + icc + jpeg[2:]
    yield (
        "PNG of a profile that unpacks to 1 GB",
        png_of_zeros(64, 64, png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**24), 9) * 64)),
    )
    yield (
        "PNG of a text that unpacks to 100 MB",
        png_of_zeros(64, 64, png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**8), 9))),
    )
    yield (
        "WebP of 16,383 by 16,383",
        encode(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[:21] + b"\xff\xff\xff\x0f" + bytes(99),
    )
    yield (
        "BMP that says 100,000 by 100,000",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
    )


def test_bombs_are_answered_or_refused_at_once_and_in_little_memory(
    tiff: Maker, encode: Maker, scenery: Maker, tmp_path: Path
) -> None:
    """Each in a fresh process of ours, which reports the time and how far its peak memory rose."""
    for index, (_, data) in enumerate(bombs(tiff, encode, scenery)):
        (tmp_path / f"{index:02}").write_bytes(data)
    names = [name for name, _ in bombs(tiff, encode, scenery)]
    code = (
        "import sys, time\n"
        "from veduta.errors import PhotoError\n"
        "from veduta.images.decode import *\n"
        "from veduta.images.preprocess import *\n"
        "wanted = [Preprocessing('crop', ((128, 128),), 'bicubic', 128)]\n"
        "def peak(): return int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
        "data = read_bytes(sys.argv[1])\n"
        "try: decode(open(sys.argv[2], 'rb').read(), wanted)\n"
        "except PhotoError: pass\n"
        "rest, start = peak(), time.perf_counter()\n"
        "try: said = decode(data, wanted).facts\n"
        "except PhotoError as error: said = error\n"
        "print(f'{time.perf_counter() - start:.3f} {(peak() - rest) / 1024:.0f} {said}')\n"
    )
    plain = tmp_path / "plain.png"
    plain.write_bytes(encode(scenery(400, 300), "PNG"))
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system has not")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    for index, name in enumerate(names):
        command = [sys.executable, "-c", code, str(tmp_path / f"{index:02}"), str(plain)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
        seconds, megabytes, said = done.stdout.strip().split(" ", 2)
        print(f"{name}: {seconds} s, {megabytes} MB above rest: {said}")
        assert int(megabytes) < 100, name


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_files_with_bytes_altered_are_answered_or_refused(encode: Maker, scenery: Maker, kind: str) -> None:
    import random

    chance = random.Random(kind)
    data = encode(scenery(40, 30), kind)
    for _ in range(60):
        altered = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            altered[chance.randrange(min(len(data), 200) if chance.random() < 0.7 else len(data))] = chance.randrange(
                256
            )
        found = outcome(bytes(altered[: chance.randint(1, len(data))] if chance.random() < 0.3 else altered))
        assert isinstance(found, Photo) or str(found).endswith(".")


def test_one_large_odd_file_after_another_leaves_the_reader_sound(shared_data: Path) -> None:
    path = next(iter(sorted((shared_data / "samples_cc0").glob("*.jpg"))))
    before = outcome(read_bytes(path))
    for file in sorted((shared_data / "malformed" / "undecodable").iterdir()):
        outcome(read_bytes(file))
    after = outcome(read_bytes(path))
    assert isinstance(before, Photo)
    assert isinstance(after, Photo)
    assert (before.inputs[0] == after.inputs[0]).all()  # type: ignore[union-attr]
