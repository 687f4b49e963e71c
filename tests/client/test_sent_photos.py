"""What of a photo is sent: the file, or an image as a tagger would see it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.client import photos
from veduta.client.photos import upload
from veduta.errors import CorruptPhoto, PhotoError, PhotoNotFound, PhotoTooLarge, PhotoUnreadable, UsageError


def _decoded(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(upload(image).content))


def test_a_small_image_is_sent_without_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8)
    sent = _decoded(Image.fromarray(pixels))
    assert sent.format == "PNG"
    assert np.array_equal(np.asarray(sent), pixels)


def test_a_large_image_is_sent_as_a_fine_jpeg() -> None:
    sent = _decoded(Image.new("RGB", (2500, 2001), (200, 100, 50)))
    assert sent.format == "JPEG"
    assert np.abs(np.asarray(sent).astype(int) - (200, 100, 50)).max() <= 2


def test_an_image_is_sent_upright_and_without_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (80, 40)).save(path, exif=exif, icc_profile=b"profile", comment=b"a secret")
    with Image.open(path) as image:
        content = upload(image).content
    sent = Image.open(io.BytesIO(content))
    assert sent.size == (40, 80)
    assert not sent.getexif()
    assert sent.info == {}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"])
def test_every_mode_can_be_sent(mode: str) -> None:
    assert _decoded(Image.new(mode, (8, 6))).mode == "RGB"


def test_what_can_not_be_sent_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoNotFound, match="gone"):
        upload(tmp_path / "gone.jpg")
    with pytest.raises(PhotoUnreadable, match="no file"):
        upload(tmp_path)
    with pytest.raises(PhotoUnreadable, match="null"):
        upload("a\0b")
    with pytest.raises(UsageError, match="url="):
        upload("https://example.org/a.jpg")
    with pytest.raises(UsageError, match="ndarray"):
        upload(np.zeros((2, 2, 3), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="0 by 5"):
        upload(Image.new("RGB", (0, 5)))
    monkeypatch.setattr(photos, "MOST_BYTES", 3)
    (tmp_path / "large.jpg").write_bytes(b"1234")
    with pytest.raises(PhotoTooLarge, match=r"large\.jpg"):
        upload(tmp_path / "large.jpg")


def test_an_image_whose_file_is_cut_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with Image.open(path) as image, pytest.raises(CorruptPhoto):
        upload(image)


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match="no file"):
        upload(tmp_path / "pipe.jpg")


def test_a_name_of_any_bytes_can_be_sent(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b'/a\xff"\n.jpg'))
    try:
        path.write_bytes(b"photo")
    except OSError:
        pytest.skip("this file system has no such names")
    assert upload(path).name.encode() == b'a?" .jpg'
