"""Every mode, turn and profile becomes upright sRGB; every fault becomes a PhotoError with a sentence."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from veduta.errors import (
    CorruptPhoto,
    PhotoError,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoUnreadable,
    UnsupportedFormat,
    UsageError,
)
from veduta.images.decode import DECODER_VERSION, Limits, Photo, Thumbnail, decode, digest, read_bytes
from veduta.images.preprocess import Preprocessing

Encode = Callable[..., bytes]
Scenery = Callable[[int, int], Image.Image]

WHOLE = Preprocessing("stretch", ((24, 32), (32, 24)), "bilinear")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def pixels(photo: Photo, index: int = 0) -> np.ndarray:
    found = photo.inputs[index]
    assert isinstance(found, np.ndarray)
    return found.astype(int)


def away(photo: Photo, other: Photo) -> float:
    return float(np.abs(pixels(photo) - pixels(other)).mean())


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_a_turned_photo_is_decoded_upright(scenery: Scenery, encode: Encode, kind: str, value: int) -> None:
    upright = scenery(64, 48)
    stored = upright.transpose(TURNS[value]) if value in TURNS else upright
    options = {"lossless": True} if kind == "WEBP" else {}
    answer = decode(encode(stored, kind, exif=orientation(value), **options), [WHOLE])
    assert (answer.facts.width, answer.facts.height) == (64, 48)
    expected = decode(encode(upright, "PNG"), [WHOLE])
    assert away(answer, expected) <= (4 if kind in ("JPEG", "AVIF") else 0)


@settings(deadline=None, max_examples=40)
@given(size=st.tuples(st.integers(1, 90), st.integers(1, 90)), value=st.integers(1, 8), side=st.integers(1, 40))
def test_the_law_of_turns(scenery: Scenery, encode: Encode, size: tuple[int, int], value: int, side: int) -> None:
    upright = scenery(*size)
    stored = upright.transpose(TURNS[value]) if value in TURNS else upright
    wanted = [Preprocessing("crop", ((side, side),), "bicubic", side), WHOLE]
    turned = decode(encode(stored, "PNG", exif=orientation(value)), wanted)
    plain = decode(encode(upright, "PNG"), wanted)
    assert turned.boxes == plain.boxes
    assert all(np.array_equal(pixels(turned, index), pixels(plain, index)) for index in (0, 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_every_format_shows_the_same_photo(scenery: Scenery, encode: Encode, kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    answer = decode(encode(scenery(96, 64), kind), [WHOLE])
    assert answer.facts.format == {"HEIF": "HEIC"}.get(kind, kind)
    assert answer.facts.marks == ()
    assert away(answer, decode(encode(scenery(96, 64), "PNG"), [WHOLE])) < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGB", "I;16"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_mode_shows_the_same_photo(scenery: Scenery, encode: Encode, mode: str, kind: str) -> None:
    grey = scenery(96, 64).convert("L")
    source = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    expected = decode(encode(grey, "PNG"), [WHOLE])
    assert away(decode(encode(source, kind), [WHOLE]), expected) < (25 if mode == "1" else 3)


@pytest.mark.parametrize("scale", [1.0, 255.0, 1000.0])
def test_floats_and_long_integers_are_scaled_and_not_clipped(scenery: Scenery, encode: Encode, scale: float) -> None:
    grey = np.asarray(scenery(96, 64).convert("L"))
    full = (grey - grey.min()) / (grey.max() - grey.min())
    expected = decode(encode(Image.fromarray((full * 255).round().astype(np.uint8)), "PNG"), [WHOLE])
    assert away(decode(encode(Image.fromarray((full * scale).astype(np.float32)), "TIFF"), [WHOLE]), expected) < 1
    whole = Image.fromarray((full * 65535).astype(np.int32))
    assert away(decode(encode(whole, "TIFF"), [WHOLE]), expected) < 1


def test_twelve_bits_kept_in_sixteen_fill_the_range(scenery: Scenery, encode: Encode) -> None:
    grey = np.asarray(scenery(96, 64).convert("L")).astype(np.uint16)
    expected = decode(encode(Image.fromarray(grey.astype(np.uint8)), "PNG"), [WHOLE])
    assert away(decode(encode(Image.fromarray(grey * 16), "TIFF"), [WHOLE]), expected) < 1
    assert pixels(decode(encode(Image.fromarray(grey), "PNG"), [WHOLE])).max() <= 1


def test_not_a_number_is_black(encode: Encode) -> None:
    values = np.full((8, 8), np.nan, np.float32)
    values[0, 0] = np.inf
    assert pixels(decode(encode(Image.fromarray(values), "TIFF"), [WHOLE])).max() == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("side", [64, 800])
def test_transparency_is_laid_over_white(encode: Encode, mode: str, side: int) -> None:
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, side, side // 2))
    found = pixels(decode(encode(image.convert(mode), "PNG"), [WHOLE]))
    assert found[:8].max() == 0
    assert found[-8:].min() == 255


def test_invisible_colours_do_not_bleed_in_when_a_large_photo_is_reduced(encode: Encode) -> None:
    values = np.zeros((600, 600, 4), np.uint8)
    values[:, ::2] = (255, 0, 0, 0)
    values[:, 1::2] = (0, 0, 255, 255)
    found = pixels(decode(encode(Image.fromarray(values), "PNG"), [Preprocessing("crop", ((8, 8),), "box", 8)]))
    assert found[4, 4] == pytest.approx((127, 127, 255), abs=2)


def test_cmyk_is_answered_with_and_without_adobes_inversion(scenery: Scenery, encode: Encode) -> None:
    photo = scenery(96, 64)
    expected = decode(encode(photo, "PNG"), [WHOLE])
    for kind in ("JPEG", "TIFF"):
        assert away(decode(encode(photo.convert("CMYK"), kind), [WHOLE]), expected) < 6


def swapped_profile() -> bytes:
    """sRGB with red and blue exchanged, so that a profile which is applied can be seen."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_embedded_profile_is_applied(encode: Encode, kind: str) -> None:
    red = Image.new("RGB", (64, 48), (250, 10, 10))
    answer = decode(encode(red, kind, icc_profile=swapped_profile()), [WHOLE, Thumbnail(32)])
    assert pixels(answer)[5, 5] == pytest.approx((10, 10, 250), abs=12)
    assert isinstance(answer.inputs[1], bytes)
    assert Image.open(io.BytesIO(answer.inputs[1])).getpixel((5, 5)) == pytest.approx((10, 10, 250), abs=12)
    assert answer.facts.marks == ()


def test_an_srgb_profile_changes_nothing(scenery: Scenery, encode: Encode) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, profiled = (encode(scenery(96, 64), "PNG", **options) for options in ({}, {"icc_profile": profile}))
    assert away(decode(profiled, [WHOLE]), decode(plain, [WHOLE])) == 0


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", [b"junk" * 99, b"\0" * 5_000_000, None], ids=["broken", "huge", "of another space"])
def test_a_profile_that_can_not_be_used_is_ignored_and_marked(
    scenery: Scenery, encode: Encode, mode: str, profile: bytes | None
) -> None:
    if profile is None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = scenery(96, 64).convert(mode)
    answer = decode(encode(photo, "TIFF", icc_profile=profile), [WHOLE])
    assert answer.facts.marks == ("colour profile ignored",)
    assert away(answer, decode(encode(photo, "TIFF"), [WHOLE])) == 0


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_answered_and_marked(scenery: Scenery, encode: Encode, kind: str) -> None:
    first, second = scenery(64, 48), Image.new("RGB", (64, 48), "black")
    answer = decode(encode(first, kind, save_all=True, append_images=[second]), [WHOLE])
    assert answer.facts.marks == ("first frame",)
    assert away(answer, decode(encode(first, "PNG"), [WHOLE])) < 15


def test_time_position_and_format_are_told(scenery: Scenery, encode: Encode) -> None:
    exif = orientation(6)
    exif.get_ifd(0x8769)[0x9003] = "2019:08:07 06:05:04"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 24.0), 3: "E", 4: (151.0, 12.0, 36.0)})
    for kind in ("JPEG", "PNG", "WEBP"):
        facts = decode(encode(scenery(64, 48), kind, exif=exif), []).facts
        assert (facts.format, facts.width, facts.height) == (kind, 48, 64)
        assert facts.taken == "2019-08-07T06:05:04"
        assert facts.position == pytest.approx((-33.856667, 151.21))


def test_one_decode_gives_all_that_is_wanted(scenery: Scenery, encode: Encode) -> None:
    data = encode(scenery(900, 600), "JPEG")
    crop = Preprocessing("crop", ((32, 32),), "bicubic", 36)
    answer = decode(data, [crop, Thumbnail(100), WHOLE])
    assert answer.digest == digest(data)
    assert len(answer.digest) == 32
    thumbnail = answer.inputs[1]
    assert isinstance(thumbnail, bytes)
    assert Image.open(io.BytesIO(thumbnail)).size == (100, 67)
    assert answer.boxes[0] == pytest.approx((183.33, 33.33, 716.67, 566.67), abs=8)
    assert answer.boxes[1] == answer.boxes[2] == (0, 0, 900, 600)


def test_a_thumbnail_is_upright_and_never_enlarged(scenery: Scenery, encode: Encode) -> None:
    answer = decode(encode(scenery(64, 48), "JPEG", exif=orientation(6)), [Thumbnail(500)])
    assert isinstance(answer.inputs[0], bytes)
    assert Image.open(io.BytesIO(answer.inputs[0])).size == (48, 64)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_thinnest_photos_are_answered(encode: Encode, size: tuple[int, int], kind: str) -> None:
    wanted = [Preprocessing("crop", ((64, 64),), "bicubic", 64), WHOLE, Thumbnail(64)]
    answer = decode(encode(Image.new("RGB", size, (99, 99, 99)), kind), wanted)
    assert (answer.facts.width, answer.facts.height) == size
    assert pixels(answer).min() == pixels(answer).max() == 99


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", CorruptPhoto, "is empty"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", UnsupportedFormat, "EPS.*supported are JPEG"),
        (b"\0\0\1\0\1\0", UnsupportedFormat, "icon"),
        (b'<?xml version="1.0"?><svg/>', UnsupportedFormat, "SVG"),
        (b"\n<!DOCTYPE html><p>", UnsupportedFormat, "HTML"),
        (b"hello", UnsupportedFormat, "text"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", UnsupportedFormat, "video"),
        (b"\x93\x01\x02", UnsupportedFormat, "unknown"),
        (b"\xff\xd8\xff", CorruptPhoto, "header"),
        (b"\x89PNG\r\n\x1a\n", CorruptPhoto, "restore"),
        (b"RIFF\0\0\0\0WEBPVP8 ", CorruptPhoto, "WebP"),
    ],
)
def test_what_is_no_photo_is_refused_by_its_name(data: bytes, error: type[PhotoError], words: str) -> None:
    with pytest.raises(error, match=f"(?s)^odd name.jpg .*{words}.*[.]$") as caught:
        decode(data, [WHOLE], name="odd name.jpg")
    assert caught.value.digest == digest(data)


def test_a_name_with_newlines_and_markup_stays_on_one_line() -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        decode(b"hello", [WHOLE], name="a\nb\x1b[31m<b>\udcff\u2028.jpg")
    assert str(caught.value).startswith(r"a\nb\x1b[31m<b>\udcff\u2028.jpg seems to be text")


def test_limits_of_bytes_pixels_and_memory_are_kept(scenery: Scenery, encode: Encode) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        data = encode(scenery(100, 80), kind)
        decode(data, [WHOLE], Limits(max_pixels=8_000))
        with pytest.raises(PhotoTooLarge, match="100×80 pixels"):
            decode(data, [WHOLE], Limits(max_pixels=7_999))
        with pytest.raises(PhotoTooLarge, match="MB"):
            decode(data, [WHOLE], Limits(max_bytes=len(data) - 1))
        if kind != "JPEG":
            with pytest.raises(PhotoTooLarge, match="to decode"):
                decode(data, [WHOLE], Limits(max_memory=8_000))
    for name in ("max_bytes", "max_pixels", "max_seconds", "max_memory"):
        with pytest.raises(UsageError, match=name):
            Limits(**{name: 0})


def test_without_its_extra_a_heic_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedFormat, match=r'pip install "veduta\[heic\]"'):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", [WHOLE])


def test_files_that_can_not_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert read_bytes(tmp_path / "file") == b"abc"
    assert read_bytes(str(tmp_path / "file")) == b"abc"
    for path in (tmp_path / "gone.jpg", tmp_path / "file/under.jpg"):
        with pytest.raises(PhotoNotFound, match="is not there"):
            read_bytes(path)
    with pytest.raises(PhotoUnreadable, match="folder"):
        read_bytes(tmp_path)
    with pytest.raises(PhotoUnreadable, match="can't be read"):
        read_bytes("nul\0in name.jpg")
    with pytest.raises(PhotoTooLarge, match="over the limit"):
        read_bytes(tmp_path / "file", Limits(max_bytes=2))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(PhotoUnreadable, match="not a regular file"):
            read_bytes(tmp_path / "pipe.jpg")


def test_pillows_switches_and_the_programs_warnings_are_left_alone(scenery: Scenery, encode: Encode) -> None:
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    files = [encode(scenery(200, 150), kind) for kind in ("PNG", "GIF", "TIFF", "JPEG")]
    files += [data[: len(data) * 4 // 5] for data in files]

    def work() -> None:
        for data in files * 5:
            try:
                decode(data, [WHOLE])
            except PhotoError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


def test_the_version_names_what_makes_the_pixels() -> None:
    assert Image.__version__ in DECODER_VERSION
    assert "simplejpeg" in DECODER_VERSION


def test_decoding_a_jpeg_loads_no_other_decoder(scenery: Scenery, encode: Encode, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode(scenery(64, 48), "JPEG"))
    code = (
        "import sys; from veduta.images.decode import *; from veduta.images.preprocess import *;"
        "others = ('PIL.TiffImagePlugin', 'PIL.ImageCms', 'pillow_heif');"
        f"decode(read_bytes({str(tmp_path / 'photo.jpg')!r}), [Preprocessing('crop', ((8, 8),), 'bicubic', 8)]);"
        "print([name for name in sys.modules if name in others])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PhotoUnreadable, match="is a folder; give a photo file"):
        read_bytes(tmp_path)
