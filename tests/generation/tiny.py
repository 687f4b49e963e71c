"""Photos of 40 pixels, features that need no network, and a training of a few steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.generation.presets import PRESETS
from veduta.models.bundle import Bundle


def write_photos(root: Path, counts: Mapping[str, int], seed: int = 0) -> Path:
    """``sea`` is blue and level, everything else is green and striped; each photo differs."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:40, 0:48]
    for name, count in counts.items():
        folder = root / name.replace("/", "-")
        folder.mkdir(parents=True)
        for number in range(count):
            shift, bright = int(random.integers(4, 30)), int(random.integers(90, 160))
            pattern = np.where(rows > shift, bright, 220) if name == "sea" else (columns + shift) // 6 % 2 * bright
            colours = (0.3, 0.5, 1.0) if name == "sea" else (0.4, 1.0, 0.3)
            pixels = pattern[..., np.newaxis] * np.array(colours) + random.normal(0, 8, (40, 48, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
    return root


class Features:
    """Pictures of 8 by 8 pixels in place of a network's embedding."""

    name = "8 by 8 pixels"

    def __call__(self, pictures: NDArray[np.uint8], on_picture: Any = None) -> NDArray[np.float32]:
        small = [np.asarray(Image.fromarray(each).resize((8, 8)), np.float32).ravel() for each in pictures]
        return np.stack(small) / 128 - 1


FEATURES: Any = Features()
PRESET = replace(PRESETS["dcgan"], side=32, filters=4, latent=8, batch_size=8)


def train(
    photos: Path,
    out: Path,
    steps: int = 4,
    look: int = 2,
    preset: Any = PRESET,
    features: Any = FEATURES,
    **options: Any,
) -> Bundle:
    from veduta.generation.train import Length, train_generator
    from veduta.training.execution import Execution

    return train_generator(
        photos,
        out,
        preset,
        Length(steps, None, look),
        features=features,
        execution=Execution("float32", 1),
        **options,
    )
