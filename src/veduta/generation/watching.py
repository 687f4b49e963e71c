"""A look at a generator while it is trained: a sample from fixed seeds, figures, alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.generation.alarms import Alarm, Signs, alarms
from veduta.generation.export import to_pixels
from veduta.generation.features import FeatureNetwork
from veduta.generation.latents import fixed_latents
from veduta.generation.loop import one_hot
from veduta.generation.measures import Features, diversity, nearest
from veduta.generation.photos import Photos
from veduta.generation.under_way import UnderWay

# Pictures of a look; the first of them are its grid.
LOOKED_AT, SHOWN = 256, 64
# Photos that the nearest is looked for among; all of a larger set would only take time.
_COMPARED = 10_000
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Reference:
    """What generated pictures are held against: features of training photos, and figures of photos."""

    training: Features
    diversity: float
    contrast: float
    nearest_held_out: float | None


@dataclass(frozen=True, slots=True)
class Look:
    """``row`` is what the log tells; ``pictures`` uint8 ``[256, side, side, 3]``."""

    row: dict[str, Any]
    pictures: NDArray[np.uint8]
    alarms: list[Alarm]


def make_reference(photos: Photos, features: FeatureNetwork, on_photo: Callable[[int, int], None]) -> Reference:
    """Look at the photos once, before a training."""
    draws = np.random.default_rng(0)
    places = photos.training
    if len(places) > _COMPARED:
        places = np.sort(draws.choice(places, _COMPARED, replace=False))
    training = features(photos.rgb(places), on_photo)
    # As many as are generated, of the same mixture of classes: few photos are more alike than many.
    some = draws.permutation(len(places))[:LOOKED_AT]
    held_out = None
    if photos.held_out.any():
        distances = nearest(features(photos.rgb(np.flatnonzero(photos.held_out))), training).distance
        held_out = float(np.percentile(distances, 1))
    return Reference(training, diversity(training[some]), _contrast(photos.rgb(places[some])), held_out)


def look_at(going: UnderWay, reference: Reference, features: FeatureNetwork) -> Look:
    """Generate from fixed seeds, measure, and ring what must ring."""
    pictures = make_pictures(going)
    seen = features(pictures)
    tally = going.tally
    signs = Signs(
        step=going.step,
        contrast=_contrast(pictures) / max(reference.contrast, 1e-9),
        # One photo again and again has none, and nothing that is made of it can have less.
        diversity=diversity(seen) / reference.diversity if reference.diversity > 1e-6 else 1.0,
        real_right=tally.mean("real_right"),
        made_right=tally.mean("made_right"),
        nearest=float(np.percentile(nearest(seen, reference.training).distance, 1)),
        nearest_held_out=reference.nearest_held_out,
    )
    rung = alarms(signs)
    row = {
        "step": going.step,
        "epoch": round(going.epoch, 2),
        "minutes": round(going.seconds / 60, 2),
        "generator_loss": tally.mean("generator_loss"),
        "discriminator_loss": tally.mean("discriminator_loss"),
        "real_right": signs.real_right,
        "made_right": signs.made_right,
        "contrast": signs.contrast,
        "diversity": signs.diversity,
        "nearest": signs.nearest,
        "nearest_held_out": signs.nearest_held_out,
        "alarms": [alarm.name for alarm in rung],
    }
    return Look(row, pictures, rung)


def make_pictures(going: UnderWay, count: int = LOOKED_AT) -> NDArray[np.uint8]:
    """From fixed seeds, the classes in turn: uint8 ``[count, side, side, 3]``, by the averaged weights."""
    classes = len(going.photos.labels)
    latents = torch.from_numpy(fixed_latents(going.preset.latent, count, going.preset.seed))
    targets = torch.arange(count) % classes
    kept, device = going.kept.eval(), going.fabric.device
    found = []
    with torch.inference_mode():
        for first in range(0, count, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            wanted = one_hot(targets[some], classes)
            found.append(to_pixels(kept(latents[some].to(device), wanted.to(device))).cpu().numpy())
    return np.concatenate(found)


def _contrast(pictures: NDArray[np.uint8]) -> float:
    """The standard deviation of the pixels of each picture, their mean over the pictures."""
    return float(pictures.astype(np.float32).std(axis=(1, 2, 3)).mean())
