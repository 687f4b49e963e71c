"""Textured photos of about one colour each, unlike every other: what the made internet of these tests serves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 60, 60), "blue": (60, 60, 200)}


def photo(colour: str, number: int, side: int = 200) -> bytes:
    """A textured photo of about this colour, unlike every other."""
    draw = np.random.default_rng((number, *colour.encode()))
    coarse = draw.normal(0, 40, (9, 12, 3))
    picture = Image.fromarray(np.clip(coarse + COLOURS[colour], 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def noise_photos(folder: Path, names: Sequence[str], count: int = 4) -> Path:
    """So many photos of coarse noise in a folder for each name; no two are copies of each other."""
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            small = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
            small.resize((240, 240), Image.Resampling.BICUBIC).save(folder / name / f"{number}.jpg")
    return folder
