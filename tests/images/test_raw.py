"""Camera raw files: the largest preview in them, and what hostile ones do not do."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import UnsupportedFormat
from veduta.images.decode import decode
from veduta.images.formats import sniff
from veduta.images.preprocess import Preprocessing
from veduta.images.raw import find_preview

WANTED = Preprocessing("stretch", ((12, 16), (16, 12)), "bilinear")
Maker = Callable[..., bytes]

MAIN = {0x0112: (3, (6,)), 0x010F: (2, b"NIKON CORPORATION\0")}


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def preview_entries(jpeg: bytes, after: int = 0) -> dict[int, tuple[int, tuple[int, ...]]]:
    return {0x0201: (4, (after or -1,)), 0x0202: (4, (len(jpeg),))}


def make_nef(tiff: Maker, jpeg: bytes) -> bytes:
    """A thumbnail's directory, then sensor data, then a preview."""
    return tiff([MAIN, {0x0106: (3, (32803,)), 0x0103: (3, (34713,))}, preview_entries(jpeg)], jpeg)


def make_cr3(tiff: Maker, small: bytes, middle: bytes, large: bytes) -> bytes:
    head = box(b"ftyp", b"crx \0\0\0\1crx isom")
    facts = box(b"CMT1", tiff([{0x0112: (3, (8,))}])), box(b"CMT2", tiff([{0x9003: (2, b"2020:01:02 03:04:05\0")}]))
    thumb = box(b"THMB", struct.pack(">IHHIHH", 0, 160, 120, len(small), 1, 0), small)
    canon = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"), *facts, thumb)
    place = 0
    for _ in range(2):
        stbl = box(
            b"stbl",
            box(b"stsz", struct.pack(">III", 0, len(large), 1)),
            box(b"co64", struct.pack(">IIQ", 0, 1, place)),
        )
        moov = box(b"moov", canon, box(b"trak", box(b"mdia", box(b"minf", stbl))))
        preview = box(
            b"uuid",
            bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16"),
            b"\0" * 8,
            box(b"PRVW", struct.pack(">IHHHHI", 0, 1, 0, 0, 1, len(middle)), middle),
        )
        place = len(head + moov + preview) + 8
    return head + moov + preview + box(b"mdat", large)


@pytest.mark.parametrize("kind", ["NEF", "ARW", "DNG", "CR2"])
def test_the_preview_is_answered_turned_by_the_raw_file(tiff: Maker, encode: Maker, scenery: Maker, kind: str) -> None:
    photo = scenery(64, 48)
    jpeg = encode(photo, "JPEG", quality=95)
    sensor = {0x0106: (3, (32803,)), 0x0103: (3, (7,))}
    makes = {"NEF": b"NIKON\0", "ARW": b"SONY\0", "DNG": b"Pentax\0", "CR2": b"Canon\0"}
    main = {0x0112: (3, (6,)), 0x010F: (2, makes[kind])} | ({0xC612: (1, (1, 4, 0, 0))} if kind == "DNG" else {})
    data = tiff([main, sensor, preview_entries(jpeg)], jpeg, magic=b"CR\2\0\0\0\0\0" if kind == "CR2" else b"")
    assert sniff(data) == kind
    answer = decode(data, [WANTED])
    assert (answer.facts.format, answer.facts.width, answer.facts.height) == (kind, 48, 64)
    assert answer.facts.marks == ("preview",)
    upright = decode(encode(photo.transpose(Image.Transpose.ROTATE_270), "PNG"), [WANTED])
    assert np.abs(np.asarray(answer.inputs[0], int) - np.asarray(upright.inputs[0], int)).mean() < 3


def test_of_several_previews_the_largest_is_taken(tiff: Maker, encode: Maker, scenery: Maker) -> None:
    small, large = encode(scenery(16, 12), "JPEG"), encode(scenery(64, 48), "JPEG")
    plain = [{0x0106: (3, (32803,))}, preview_entries(small), preview_entries(large)]
    start = len(tiff(plain))
    plain[2] = preview_entries(large, start + len(small))
    found = find_preview(tiff(plain, small + large), "DNG")
    assert found is not None
    assert found.jpeg == large


def test_a_cr3_gives_the_full_picture_of_its_track(tiff: Maker, encode: Maker, scenery: Maker) -> None:
    small, middle, large = (encode(scenery(side, side // 2), "JPEG") for side in (32, 48, 64))
    data = make_cr3(tiff, small, middle, large)
    assert sniff(data) == "CR3"
    answer = decode(data, [WANTED])
    assert (answer.facts.width, answer.facts.height) == (32, 64)
    assert answer.facts.taken == "2020-01-02T03:04:05"
    without_track = find_preview(data.replace(b"co64", b"free"), "CR3")
    assert without_track is not None
    assert without_track.header.width == 48
    without_both = find_preview(data.replace(b"co64", b"free").replace(b"PRVW", b"free"), "CR3")
    assert without_both is not None
    assert without_both.header.width == 32


def test_lossless_sensor_data_is_no_preview(tiff: Maker, encode: Maker, scenery: Maker) -> None:
    jpeg = bytearray(encode(scenery(64, 48), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 1] = 0xC3
    with pytest.raises(UnsupportedFormat, match="without a JPEG preview"):
        decode(make_nef(tiff, bytes(jpeg)), [WANTED], name="photo.nef")


def test_a_plain_tiff_of_a_camera_is_no_raw_file(encode: Maker, scenery: Maker) -> None:
    image = scenery(16, 12)
    data = encode(image, "TIFF", tiffinfo={0x010F: "NIKON CORPORATION"})
    assert sniff(data) == "TIFF"
    assert decode(data, [WANTED]).facts.format == "TIFF"


def test_loops_and_boasting_boxes_end(tiff: Maker) -> None:
    started = time.perf_counter()
    looping = tiff([{0x0106: (3, (32803,)), 0x014A: (4, (8,) * 30)}])
    assert find_preview(looping, "DNG") is None
    for length in (0, 1, 7, 8, 2**31):
        boxes = box(b"ftyp", b"crx \0\0\0\1") + struct.pack(">I4s", length, b"moov") * 100_000
        assert find_preview(boxes, "CR3") is None
    nested = b""
    for _ in range(200):
        nested = box(b"moov", nested)
    assert find_preview(nested, "CR3") is None
    print(f"hostile raw files took {time.perf_counter() - started:.3f} s")


@given(st.binary(max_size=300))
def test_any_bytes_are_survived_as_raw(data: bytes) -> None:
    for kind, head in (
        ("DNG", b"II*\0\x08\0\0\0"),
        ("CR3", b"\0\0\0\x10ftypcrx \0\0\0\1"),
        ("NEF", b"MM\0*\0\0\0\x08"),
    ):
        find_preview(head + data, kind)
