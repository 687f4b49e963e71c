"""Time, position and orientation, from sound and from hostile EXIF."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.images.exif import Exif, read_exif
from veduta.images.tiff import TiffReader


def with_position(
    tiff: Callable[..., bytes], latitude: tuple[int, ...], side: bytes = b"N\0"
) -> tuple[float, float] | None:
    """A block whose main directory names the second as the GPS directory."""
    gps = {1: (2, side), 2: (5, latitude), 3: (2, b"E\0"), 4: (5, (13, 1, 22, 1, 30, 1))}
    main = {0x8825: (4, (8 + 18,))}
    return read_exif(tiff([main, gps])).position


@pytest.mark.parametrize("order", ["<", ">"])
def test_time_zone_and_orientation_are_read_in_both_byte_orders(tiff: Callable[..., bytes], order: str) -> None:
    details = {0x9003: (2, b"2021:05:06 07:08:09\0"), 0x9011: (2, b"+02:00\0")}
    main = {0x0112: (3, (6,)), 0x8769: (4, (8 + 30,))}
    assert read_exif(b"Exif\0\0" + tiff([main, details], order=order)) == Exif(6, "2021-05-06T07:08:09+02:00")


@pytest.mark.parametrize(
    "time", [b"0000:00:00 00:00:00\0", b"2021:02:30 00:00:00\0", b"    :  :     :  :  \0", b"\xff\0", b""]
)
def test_a_time_that_is_none_is_absent(tiff: Callable[..., bytes], time: bytes) -> None:
    assert read_exif(tiff([{0x8769: (4, (8 + 18,))}, {0x9003: (2, time)}])).taken is None


@pytest.mark.parametrize("zone", [b"+99:00\0", b"Z\0", b"   :  \0"])
def test_a_zone_that_is_none_is_left_out(tiff: Callable[..., bytes], zone: bytes) -> None:
    block = tiff([{0x8769: (4, (8 + 18,))}, {0x9003: (2, b"2021:05:06 07:08:09\0"), 0x9011: (2, zone)}])
    assert read_exif(block).taken == "2021-05-06T07:08:09"


def test_a_position_has_its_sign(tiff: Callable[..., bytes]) -> None:
    assert with_position(tiff, (52, 1, 30, 1, 36, 1)) == (52.51, 13.375)
    assert with_position(tiff, (52, 1, 30, 1, 36, 1), b"S\0") == (-52.51, 13.375)


@pytest.mark.parametrize(
    "latitude",
    [
        (0, 0, 0, 0, 0, 0),
        (91, 1, 0, 1, 0, 1),
        (52, 1, 61, 1, 0, 1),
        (52, 1, 30, 1, 1, 0),
        (52, 1),
        (4294967295, 1, 0, 1, 0, 1),
    ],
    ids=["nan", "over", "minutes", "infinite", "short", "huge"],
)
def test_a_position_that_is_none_is_absent(tiff: Callable[..., bytes], latitude: tuple[int, ...]) -> None:
    assert with_position(tiff, latitude) is None
    assert with_position(tiff, (52, 1, 30, 1, 36, 1), b"X\0") is None


def test_an_orientation_out_of_range_is_upright(tiff: Callable[..., bytes]) -> None:
    assert [read_exif(tiff([{0x0112: (3, (value,))}])).orientation for value in (0, 1, 8, 9, 60000)] == [1, 1, 8, 1, 1]


def test_a_directory_that_loops_or_boasts_is_read_once(tiff: Callable[..., bytes]) -> None:
    looping = bytearray(tiff([{0x0112: (3, (3,))}]))
    looping[-4:] = (8).to_bytes(4, "little")
    reader = TiffReader.open(bytes(looping))
    assert reader is not None
    assert len(list(reader.directories())) == 1
    assert not reader.has_more_pages()
    boasting = bytearray(tiff([{0x0112: (3, (3,))}]))
    boasting[8:10] = b"\xff\xff"
    assert read_exif(bytes(boasting)).orientation in (1, 3)


@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    for block in (data, b"Exif\0\0" + data, b"II*\0\x08\0\0\0" + data, b"MM\0*\0\0\0\x08" + data):
        assert 1 <= read_exif(block).orientation <= 8
        if reader := TiffReader.open(block):
            list(reader.directories())
