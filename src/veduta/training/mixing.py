"""The photos of a batch mixed with their neighbours, and their targets alike, as a drawn ``Mixture`` says."""

from __future__ import annotations

import torch
from torch import Tensor

from veduta.training.augment import Mixture


def mix_images(images: Tensor, mixture: Mixture) -> Tensor:
    """Each image of float ``[n, 3, h, w]`` with its neighbour's part."""
    neighbours = images[_neighbours(len(images))]
    if mixture.boxes is None:
        return torch.lerp(neighbours, images, torch.from_numpy(mixture.kept).to(images.device)[:, None, None, None])
    left, top, right, bottom = torch.from_numpy(mixture.boxes).to(images.device).T[..., None]
    rows, columns = (torch.arange(length, device=images.device) for length in images.shape[2:])
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return torch.where(inside, neighbours, images)


def mix_targets(targets: Tensor, mixture: Mixture) -> Tensor:
    """Each row of probabilities ``[n, c]`` with its neighbour's, by the shares that the images were mixed with."""
    kept = torch.from_numpy(mixture.kept).to(targets.device)[:, None]
    return torch.lerp(targets[_neighbours(len(targets))], targets, kept)


def _neighbours(size: int) -> Tensor:
    places = torch.arange(size)
    return torch.where(places ^ 1 < size, places ^ 1, places)
