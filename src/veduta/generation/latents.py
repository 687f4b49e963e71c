"""Latent numbers from a seed: picture i of a seed is the same, however many are asked for; no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]


def fixed_latents(size: int, count: int, seed: int, first: int = 0) -> Latents:
    """``[count, size]`` from a standard normal; row i depends on the seed and ``first`` + i alone."""
    rows = [
        np.random.default_rng((seed, place)).standard_normal(size, np.float32) for place in range(first, first + count)
    ]
    return np.stack(rows) if rows else np.empty((0, size), np.float32)


def between(start: Latents, end: Latents, steps: int) -> Latents:
    """``[steps, d]`` on the way from ``start`` ``[d]`` to ``end``, both among them, along the sphere.

    Straight lines pass through lengths that a normal never draws, which the generator has not met (Shoemake 1985;
    White 2016, arXiv:1609.04468).
    """
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, np.newaxis]
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    cosine = float(np.clip(start @ end / max(float(lengths[0] * lengths[1]), 1e-12), -1, 1))
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-6:
        found = (1 - shares) * start + shares * end
    else:
        found = (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)
    return np.asarray(found, np.float32)
