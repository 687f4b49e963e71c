"""How faithful a heat map is: does removing what it marks hurt the class more than removing anything else?

A map's top fifth is rivalled by a random *connected* block of the same area. Scattered cells would be no fair rival:
they damage every part of a photo at once, and hurt more than any one region. The map's own region may be scattered
too, which helps it; ``moved`` gives the rival that has the same shape elsewhere, and ``docs/heat-maps.md`` the figures.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veduta.errors import UsageError
from veduta.explanation.overlay import resized
from veduta.explanation.saliency import Runs, explained_head, log_probabilities
from veduta.models.bundle import Bundle

Fill = Literal["mean", "blur"]
Edges = Literal["smooth", "cells"]

_ASPECT = 2.0
_BLUR = 1 / 12


def deletion_drop(
    session: Runs,
    bundle: Bundle,
    pixels: NDArray[np.uint8],
    values: NDArray[np.float32],
    label_index: int,
    *,
    fraction: float = 0.2,
    fill: Fill = "mean",
    edges: Edges = "smooth",
) -> float:
    """How much the class's probability falls when the hottest ``fraction`` of the map is removed.

    ``pixels`` is uint8 ``[h, w, 3]``, ``values`` the map ``[h', w']`` over all of it; ``edges`` as in ``hottest``.
    Negative where it rises. Raises ``UsageError`` for a fraction outside of 0 to 1.
    """
    marked = hottest(values, (pixels.shape[1], pixels.shape[0]), fraction, edges)
    return float(removal_drops(session, bundle, pixels, label_index, marked[None], fill=fill)[0])


def random_block_drop(
    session: Runs,
    bundle: Bundle,
    pixels: NDArray[np.uint8],
    label_index: int,
    rng: np.random.Generator,
    *,
    fraction: float = 0.2,
    fill: Fill = "mean",
) -> float:
    """How much the class's probability falls when a random block of that area is removed; see ``deletion_drop``."""
    block = random_block((pixels.shape[1], pixels.shape[0]), fraction, rng)
    return float(removal_drops(session, bundle, pixels, label_index, block[None], fill=fill)[0])


def removal_drops(
    session: Runs,
    bundle: Bundle,
    pixels: NDArray[np.uint8],
    label_index: int,
    regions: NDArray[np.bool_],
    *,
    fill: Fill = "mean",
) -> NDArray[np.float64]:
    """How much the class's probability falls when each of ``regions`` (bool ``[r, h, w]``) is removed: ``[r]``.

    ``fill``: what comes instead, the photo's mean colour or the photo strongly blurred. All are run in one batch.
    """
    head = explained_head(bundle)
    instead = _filling(pixels, fill)
    batch = np.concatenate([pixels[None], np.where(regions[..., None], instead, pixels)])
    logits = session.run(batch, [head.logits])[head.logits]
    probabilities = np.exp(log_probabilities(logits, head)[:, label_index])
    drops: NDArray[np.float64] = probabilities[0] - probabilities[1:]
    return drops


def hottest(
    values: NDArray[np.float32], size: tuple[int, int], fraction: float, edges: Edges = "smooth"
) -> NDArray[np.bool_]:
    """The hottest ``fraction`` of the map, exactly that many pixels: bool ``[height, width]`` for ``size``.

    ``edges``: ``smooth`` takes the map as it is shown, ``cells`` as it was computed, in squares with hard edges.
    """
    _check_fraction(fraction)
    fine = resized(values, size) if edges == "smooth" else _squares(values, size)
    count = round(fraction * fine.size)
    chosen = np.zeros(fine.size, dtype=bool)
    if count:
        chosen[np.argsort(fine, axis=None, kind="stable")[-count:]] = True
    return chosen.reshape(fine.shape)


def moved(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The map shifted at random, around the edges, and mirrored half of the time: the same shapes somewhere else."""
    down, right = (int(rng.integers(0, side)) for side in values.shape)
    turned = values[:, ::-1] if rng.integers(2) else values
    return np.roll(turned, (down, right), axis=(0, 1))


def random_block(size: tuple[int, int], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A rectangle of that area somewhere in ``size`` (width, height), its aspect up to 2 to 1 either way."""
    _check_fraction(fraction)
    width, height = size
    aspect = math.exp(rng.uniform(-math.log(_ASPECT), math.log(_ASPECT)))
    tall = min(height, max(1, round(math.sqrt(fraction * width * height * aspect))))
    wide = min(width, round(fraction * width * height / tall))
    tall = min(height, round(fraction * width * height / max(1, wide)))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    block = np.zeros((height, width), dtype=bool)
    block[top : top + tall, left : left + wide] = True
    return block


def _squares(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST))


def _filling(pixels: NDArray[np.uint8], fill: Fill) -> NDArray[np.uint8]:
    if fill == "mean":
        return np.broadcast_to(pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), pixels.shape)
    if fill == "blur":
        radius = max(pixels.shape[:2]) * _BLUR
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))
    raise UsageError(f"fill {fill!r}: is unknown; choose mean or blur.")


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise UsageError(f"fraction {fraction}: must lie between 0 and 1.")
