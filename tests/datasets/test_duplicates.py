"""Copies among real photos, and what must not be called one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

pytest.importorskip("pdqhash", reason="the extra dataset is not installed")
pytest.importorskip("faiss", reason="the extra dataset is not installed")

from veduta.datasets import duplicates
from veduta.datasets.duplicates import (
    Fingerprints,
    agreement,
    check_libraries,
    find_candidates,
    find_copies,
    fingerprint,
    without_frame,
)
from veduta.errors import MissingExtra


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Image.Image]:
    folders = sorted((shared_data / "places100" / "val").iterdir())
    return [Image.open(sorted(folder.iterdir())[0]).convert("RGB") for folder in folders[:60]]


def encoded(image: Image.Image, quality: int = 70) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


CHANGES = {
    "encoded anew": lambda image: encoded(image, 40),
    "smaller": lambda image: encoded(image.resize((image.width * 2 // 3, image.height * 2 // 3))),
    "larger and stretched": lambda image: image.resize((2 * image.width, image.height)),
    "mirrored": lambda image: encoded(ImageOps.mirror(image)),
    "cut at one corner": lambda image: encoded(cut(image, 0.05, 0.05, 0, 0)),
    "cut all around": lambda image: encoded(cut(image, 0.025, 0.025, 0.025, 0.025)),
    "cut and mirrored": lambda image: encoded(ImageOps.mirror(cut(image, 0.04, 0, 0.01, 0.05))),
    "framed": lambda image: encoded(ImageOps.expand(image, 12, "white")),
    "darker": lambda image: image.point(lambda value: round(value * 0.7)),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


def prints(images: list[Image.Image]) -> Fingerprints:
    return Fingerprints.join([fingerprint(np.asarray(image)) for image in images])


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else(photos: list[Image.Image], change: str) -> None:
    count = len(photos)
    found = find_copies(prints([*photos, *(CHANGES[change](photo) for photo in photos)]))
    expected = np.stack([np.arange(count), np.arange(count) + count], axis=1)
    right = {tuple(pair) for pair in expected} & {tuple(pair) for pair in found}
    print(f"{change}: {len(right)} of {count} found, {len(found) - len(right)} others")
    assert len(right) >= 0.95 * count
    assert len(found) == len(right)


def test_one_picture_is_a_copy_of_itself_and_not_told_as_a_pair(photos: list[Image.Image]) -> None:
    assert find_copies(prints(photos[:1])).shape == (0, 2)
    assert find_copies(prints([photos[0]] * 3)).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_every_block_is_compared_with_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = made_hashes(50)
    hashes[47] = hashes[3]
    hashes[20, 3] = hashes[41, 0]
    whole = find_candidates(hashes, 20)
    monkeypatch.setattr("veduta.datasets.duplicates._BLOCK", 7)
    assert find_candidates(hashes, 20).tolist() == whole.tolist() == [[3, 47], [20, 41]]


def made_hashes(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 32), np.uint8)


def test_the_last_bit_counts() -> None:
    hashes = made_hashes(2)
    hashes[1] = hashes[0] ^ 0
    hashes[1, :, :2] ^= 0b00011111
    assert find_candidates(hashes, 10).tolist() == [[0, 1]]
    assert find_candidates(hashes, 9).tolist() == []


def test_agreement_is_the_same_both_ways_and_1_for_the_same(photos: list[Image.Image]) -> None:
    thumbnails = prints(photos[:6]).thumbnails
    np.testing.assert_allclose(agreement(thumbnails, thumbnails), 1, atol=1e-5)
    np.testing.assert_allclose(
        agreement(thumbnails[:3], thumbnails[3:]), agreement(thumbnails[3:], thumbnails[:3]), atol=1e-5
    )
    plain = np.full((1, 32, 32), 90, np.uint8)
    assert agreement(plain, thumbnails[:1])[0] < 0.1


def test_what_is_not_installed_is_told_before_a_photo_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    check_libraries()
    monkeypatch.setattr(duplicates, "find_spec", lambda package: None if package == "scipy" else package)
    with pytest.raises(MissingExtra, match=r"needs scipy.*veduta\[dataset\]"):
        check_libraries()


def test_a_frame_is_on_both_sides_and_a_sky_on_one() -> None:
    random = np.random.default_rng(0)
    photo = random.integers(0, 255, (80, 100, 3)).astype(np.uint8)
    framed = np.pad(photo, ((10, 14), (0, 0), (0, 0)), constant_values=250)
    np.testing.assert_array_equal(without_frame(framed), photo)
    sky = np.pad(photo, ((20, 0), (0, 0), (0, 0)), constant_values=250)
    assert without_frame(sky).shape == sky.shape
    small = np.pad(photo[:20], ((40, 40), (0, 0), (0, 0)), constant_values=250)
    assert without_frame(small).shape == small.shape
    plain = np.full((30, 30, 3), 9, np.uint8)
    assert without_frame(plain).shape == plain.shape
