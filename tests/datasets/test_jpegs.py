"""Photos of any format as upright RGB JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.jpegs import SIDE, write_jpegs
from veduta.images.pool import DecodePool


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


def picture(side: int = 60) -> Image.Image:
    values = np.linspace(0, 255, side * side * 6).reshape(side, 2 * side, 3)
    return Image.fromarray(values.astype(np.uint8))


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "tif"), ("RGBA", "png"), ("P", "gif"), ("L", "bmp")])
def test_every_mode_becomes_rgb(tmp_path: Path, pool: DecodePool, mode: str, suffix: str) -> None:
    picture().convert(mode).save(tmp_path / f"photo.{suffix}")
    assert not write_jpegs([(tmp_path / f"photo.{suffix}", tmp_path / "out" / "photo.jpg")], pool)
    with Image.open(tmp_path / "out" / "photo.jpg") as made:
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (120, 60))


def test_it_is_turned_upright_and_has_lost_its_metadata(tmp_path: Path, pool: DecodePool) -> None:
    exif = Image.Exif()
    exif[274] = 6
    picture().save(tmp_path / "turned.jpg", exif=exif)
    write_jpegs([(tmp_path / "turned.jpg", tmp_path / "out.jpg")], pool)
    with Image.open(tmp_path / "out.jpg") as made:
        assert made.size == (60, 120)
        assert not made.getexif()


def test_large_ones_are_shrunk_and_small_ones_stay(tmp_path: Path, pool: DecodePool) -> None:
    picture(SIDE).save(tmp_path / "large.jpg")
    picture(20).save(tmp_path / "small.jpg")
    write_jpegs([(tmp_path / f"{each}.jpg", tmp_path / "out" / f"{each}.jpg") for each in ("large", "small")], pool)
    for name, size in (("large", (SIDE, SIDE // 2)), ("small", (40, 20))):
        with Image.open(tmp_path / "out" / f"{name}.jpg") as made:
            assert made.size == size


def test_one_that_can_not_be_decoded_is_told_and_the_others_are_written(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    picture().save(tmp_path / "good.png")
    pairs = [(tmp_path / name, tmp_path / "out" / f"{Path(name).stem}.jpg") for name in ("broken.jpg", "good.png")]
    failures = write_jpegs(pairs, pool)
    assert list(failures) == [0]
    assert not (tmp_path / "out" / "broken.jpg").exists()
    assert (tmp_path / "out" / "good.jpg").is_file()


def test_what_is_there_already_is_not_written_again(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "out.jpg").write_bytes(b"of before")
    assert not write_jpegs([(tmp_path / "gone.jpg", tmp_path / "out.jpg")], pool)
    assert (tmp_path / "out.jpg").read_bytes() == b"of before"
