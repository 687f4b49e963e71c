"""JPEG: size on load, and files that end too early."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import CorruptPhoto, PhotoTooLarge
from veduta.images.decode import Limits, Thumbnail, decode
from veduta.images.jpeg import MAX_SCANS, decode_jpeg, read_header
from veduta.images.preprocess import Preprocessing

Encode = Callable[..., bytes]
Scenery = Callable[[int, int], Image.Image]

SMALL = Preprocessing("crop", ((32, 32),), "bicubic", 32)


def loaded(data: bytes, factor: float) -> Image.Image:
    header = read_header(data)
    assert header is not None
    return decode_jpeg(data, header, factor, Limits(), "photo.jpg")[0]


@pytest.mark.parametrize(
    ("factor", "scale"), [(0.3, 1), (1.0, 1), (1.99, 1), (2.0, 2), (3.9, 2), (4.0, 4), (7.9, 4), (8.0, 8), (99.0, 8)]
)
def test_shrinking_on_load_never_goes_past_the_factor(
    scenery: Scenery, encode: Encode, factor: float, scale: int
) -> None:
    data = encode(scenery(161, 97), "JPEG")
    assert loaded(data, factor).size == (-(-161 // scale), -(-97 // scale))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_both_decoders_give_the_same_pixels(
    scenery: Scenery, encode: Encode, subsampling: int, mode: str, progressive: bool
) -> None:
    data = encode(scenery(161, 97).convert(mode), "JPEG", subsampling=subsampling, progressive=progressive)
    for scale in (1, 2, 4, 8):
        by_pillow = Image.open(io.BytesIO(data))
        by_pillow.draft(None, (161 // scale, 97 // scale))
        assert np.array_equal(np.asarray(loaded(data, scale)), np.asarray(by_pillow))


def test_inputs_get_twice_their_target_and_thumbnails_their_side(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(512, 512), "JPEG")
    for wanted, factor in (([SMALL], 8), ([Preprocessing("stretch", ((65, 65),))], 3.9), ([Thumbnail(300)], 1.7)):
        one = decode(data, wanted)
        again = decode(encode(loaded(data, factor), "PNG"), wanted)
        if isinstance(one.inputs[0], np.ndarray):
            assert np.array_equal(one.inputs[0], again.inputs[0])
        else:
            assert one.inputs[0] == again.inputs[0]


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("ended", [False, True], ids=["open", "with an end marker"])
def test_a_jpeg_cut_off_late_is_answered_and_marked(
    scenery: Scenery, encode: Encode, progressive: bool, mode: str, ended: bool
) -> None:
    noise = np.random.default_rng(0).integers(-9, 9, (300, 400, 3))
    photo = Image.fromarray((np.asarray(scenery(400, 300)) + noise).clip(0, 255).astype(np.uint8)).convert(mode)
    data = encode(photo, "JPEG", progressive=progressive)
    cut = data[: int(len(data) * 0.85)] + (b"\xff\xd9" if ended and mode != "CMYK" else b"")
    answer = decode(cut, [SMALL])
    assert answer.facts.marks == ("cut off",)
    whole = decode(data, [SMALL])
    assert whole.facts.marks == ()
    # The upper half is as it was.
    upper = np.abs(np.asarray(answer.inputs[0], int) - np.asarray(whole.inputs[0], int))[:14]
    assert upper.mean() < (8 if progressive else 1e-9)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_jpeg_cut_off_early_is_refused_with_the_share_that_is_there(
    scenery: Scenery, encode: Encode, share: float
) -> None:
    noise = np.random.default_rng(0).integers(-9, 9, (300, 400, 3))
    data = encode(Image.fromarray((np.asarray(scenery(400, 300)) + noise).clip(0, 255).astype(np.uint8)), "JPEG")
    with pytest.raises(CorruptPhoto, match=r"cut off: \d+% of its rows"):
        decode(data[: int(len(data) * share)], [SMALL])


def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(64, 48), "JPEG")
    assert decode(data[:-2], [SMALL]).facts.marks == ()
    assert np.array_equal(decode(data[:-2], [SMALL]).inputs[0], decode(data, [SMALL]).inputs[0])


def test_a_header_that_promises_more_than_its_bytes_can_hold_is_refused_unread(
    scenery: Scenery, encode: Encode
) -> None:
    data = bytearray(encode(scenery(64, 48), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", 15_000, 15_000)
    with pytest.raises(CorruptPhoto, match="too small to hold"):
        decode(bytes(data), [SMALL])


def test_a_progressive_jpeg_that_needs_too_much_memory_is_refused(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(640, 480), "JPEG", progressive=True, quality=95)
    with pytest.raises(PhotoTooLarge, match="progressive"):
        decode(data, [SMALL], Limits(max_memory=500_000))
    assert decode(encode(scenery(640, 480), "JPEG"), [SMALL], Limits(max_memory=500_000)).facts.width == 640


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(640, 480), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    many = data[:last] + data[last:-2] * (MAX_SCANS * 10) + data[-2:]
    with pytest.raises(CorruptPhoto, match="scans"):
        decode(many, [SMALL])


def test_thousands_of_segments_are_not_walked_through(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(64, 48), "JPEG")
    with pytest.raises(CorruptPhoto, match="header"):
        decode(data[:2] + b"\xff\xfe\0\x02" * 1_000_000 + data[2:], [SMALL])


@given(st.binary(max_size=300))
def test_any_bytes_after_the_first_are_survived(data: bytes) -> None:
    for head in (b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\x03\1\x22\0\2\x11\1\3\x11\1"):
        with pytest.raises(CorruptPhoto):
            decode(head + data, [SMALL])
