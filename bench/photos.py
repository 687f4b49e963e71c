"""Photos that can be timed anywhere: made from a few real ones, each of its own content, always the same.

A made photo is a random crop of a real one, mirrored half of the time, brighter or darker, scaled to its size. What
scaling up can't bring back, fine detail, is stood in for by noise of equal strength in every octave above the
source's, as natural photos have it (Field 1987); without it a photo of 12 megapixels would hold almost nothing for the
entropy decoder to read, and nothing for shrinking on load to get wrong. They are JPEG of quality 90, 4:2:0.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from bench.settings import DATA, ROOT
from veduta.models.threads import available_threads

DEFAULT_CACHE = ROOT / "build" / "bench-photos"

_QUALITY = 90
# Strength of the noise in each octave, and by how much it varies: photos of 12 megapixels take 1.5 to 4 MB with it.
_NOISE_PER_OCTAVE = 3.0
_LEAST_NOISE, _MOST_NOISE = 0.4, 1.6


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """``size`` is (width, height); ``source`` a folder of ``shared/data``; ``least_crop`` the smallest share of the
    source's largest box of that aspect that a crop takes, along each side."""

    name: str
    size: tuple[int, int]
    source: str
    least_crop: float


#: For speed: five sharp photos under CC0, 1280 pixels wide, in many crops.
LARGE = PhotoSet("12mp", (4000, 3000), "samples_cc0", 0.45)
SMALL = PhotoSet("640x480", (640, 480), "samples_cc0", 0.45)
#: For agreement: as many different scenes, from photos of 256 pixels, so that margins are as they are in life.
SCENES = PhotoSet("12mp-scenes", (4000, 3000), "sun27", 0.85)


def made(photo_set: PhotoSet, count: int, cache_folder: Path = DEFAULT_CACHE) -> list[Path]:
    """The first ``count`` photos of a set; those that are not in the cache are made, by a process for each core."""
    folder = cache_folder / photo_set.name
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        print(f"making {len(missing)} photos in {folder}", flush=True)
        workers = min(available_threads(), len(missing))
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
            list(processes.map(partial(make_photo, photo_set), missing, chunksize=4))
    return paths


def sources(name: str) -> list[Path]:
    """The real photos of a folder of ``shared/data``, by name, but shuffled: any first few cover its classes."""
    found = sorted(path for path in (DATA / name).rglob("*") if path.suffix in (".jpg", ".webp"))
    if not found:
        raise SystemExit(f"{DATA / name} has no photos; the benchmarks need the folder shared/ beside the project.")
    order = np.random.default_rng(0).permutation(len(found))
    return [found[index] for index in order]


def delete(cache_folder: Path) -> None:
    """Remove the made photos."""
    shutil.rmtree(cache_folder, ignore_errors=True)


def make_photo(photo_set: PhotoSet, target: Path) -> None:
    """Make the photo of the number that ``target`` is named by."""
    number = int(target.stem)
    originals = _sources_once(photo_set.source)
    rng = np.random.default_rng([number, *photo_set.name.encode()])
    with Image.open(originals[number % len(originals)]) as original:
        photo = _crop(original.convert("RGB"), photo_set, rng)
    if rng.integers(2):
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    brightness = rng.uniform(0.75, 1.25)
    photo = photo.point([min(255, round(value * brightness)) for value in range(256)] * 3)
    octaves = max(1, int(np.log2(photo_set.size[0] / photo.width)))
    photo = photo.resize(photo_set.size, Image.Resampling.BICUBIC)
    noise = _noise(photo_set.size, octaves)
    shifted = ImageChops.offset(noise, *(int(rng.integers(side)) for side in noise.size))
    strength = rng.uniform(_LEAST_NOISE, _MOST_NOISE)
    shifted = shifted.point([max(0, min(255, round(128 + strength * (value - 128)))) for value in range(256)])
    photo = ImageChops.add(photo, Image.merge("RGB", [shifted] * 3), scale=1, offset=-128)
    partial_file = target.with_suffix(f".{os.getpid()}.part")
    photo.save(partial_file, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    partial_file.replace(target)


def _crop(original: Image.Image, photo_set: PhotoSet, rng: np.random.Generator) -> Image.Image:
    aspect = photo_set.size[0] / photo_set.size[1]
    most = min(original.width, original.height * aspect)
    width = most * rng.uniform(photo_set.least_crop, 1.0)
    height = width / aspect
    left, top = rng.uniform(0, original.width - width), rng.uniform(0, original.height - height)
    return original.crop((round(left), round(top), round(left + width), round(top + height)))


@cache
def _noise(size: tuple[int, int], octaves: int) -> Image.Image:
    """Grey noise around 128, made once for a process and shifted for each photo."""
    rng = np.random.default_rng(octaves)
    total = np.zeros((size[1], size[0]), np.float32)
    for octave in range(octaves):
        coarse = rng.standard_normal((size[1] >> octave, size[0] >> octave), np.float32)
        layer = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
        values = np.asarray(layer)
        total += values * (_NOISE_PER_OCTAVE / values.std())
    return Image.fromarray(np.clip(np.rint(total + 128), 0, 255).astype(np.uint8))


@cache
def _sources_once(name: str) -> Sequence[Path]:
    return sources(name)
