"""A look at a generator while it is trained: a sample from fixed seeds, figures, alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.generation.alarms import Alarm, Signs, alarms
from veduta.generation.copies import Copies, CopyLimit, Originals
from veduta.generation.export import to_pixels
from veduta.generation.features import FeatureNetwork
from veduta.generation.latents import fixed_latents
from veduta.generation.loop import one_hot
from veduta.generation.measures import diversity, diversity_within
from veduta.generation.photos import Photos
from veduta.generation.under_way import UnderWay

# Pictures of a look; the first of them are its grid.
LOOKED_AT, SHOWN = 256, 64
# Photos that the nearest is looked for among; all of a larger set would only take time.
_COMPARED = 10_000
_AT_ONCE = 64
# Of fewer held-out photos one in a hundred means nothing.
_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """What generated pictures are held against: the training photos, and figures of as many photos."""

    training: Originals
    contrast: float
    diversity: float
    within: float
    limit: CopyLimit | None


@dataclass(frozen=True, slots=True)
class Look:
    """``row`` is what the log tells; ``pictures`` uint8 ``[256, side, side, 3]``."""

    row: dict[str, Any]
    pictures: NDArray[np.uint8]
    alarms: list[Alarm]


def make_reference(photos: Photos, features: FeatureNetwork, on_photo: Callable[[int, int], None]) -> Reference:
    """Look at the photos once, before a training."""
    places = photos.in_turn(photos.training, _COMPARED)
    pixels = photos.rgb(places)
    training = features(pixels, on_photo)
    originals = Originals(pixels, training)
    some = _like_pictures(photos.targets[places], len(photos.labels))
    unseen = photos.rgb(photos.in_turn(np.flatnonzero(photos.held_out), _COMPARED))
    limit = originals.limit(unseen, features(unseen, on_photo)) if len(unseen) >= _ENOUGH else None
    return Reference(
        originals,
        _contrast(pixels[some]),
        diversity(training[some]),
        diversity_within(training[some], photos.targets[places[some]]),
        limit,
    )


def _like_pictures(targets: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Photos of ``targets`` ``[n]`` as a generator that knew nothing else would show them: places ``[256]``.

    The classes in turn, and of a class with few photos each as often as the others: what repeats these can't differ
    more.
    """
    found = np.empty(LOOKED_AT, np.int64)
    for target in range(classes):
        own, wanted = np.flatnonzero(targets == target), found[target::classes]
        wanted[:] = np.resize(own, len(wanted))
    return found


def look_at(going: UnderWay, reference: Reference, features: FeatureNetwork) -> Look:
    """Generate from fixed seeds, measure, and ring what must ring."""
    pictures = make_pictures(going)
    seen, tally = features(pictures), going.tally
    limit = reference.limit
    copies = None if limit is None else Copies(limit, reference.training.nearest(pictures, seen))
    signs = Signs(
        step=going.step,
        contrast=_relative(_contrast(pictures), reference.contrast),
        diversity=_relative(diversity(seen), reference.diversity),
        within=_relative(diversity_within(seen, _classes_in_turn(going)), reference.within),
        real_right=tally.mean("real_right"),
        made_right=tally.mean("made_right"),
        closer=None if copies is None else copies.closer,
        by_chance=1.0 if copies is None else copies.chance,
        pictures=len(pictures),
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
        "changed": going.probability if going.preset.changes else 0.0,
        "contrast": signs.contrast,
        "diversity": signs.diversity,
        "diversity_within_classes": signs.within,
        "closer_than_held_out": signs.closer,
        "alarms": [alarm.name for alarm in rung],
    }
    return Look(row, pictures, rung)


def _relative(value: float, of_photos: float) -> float:
    """As a share of the photos'; one photo again and again has none, and nothing made of it can have less."""
    return value / of_photos if of_photos > 1e-6 else 1.0


def _classes_in_turn(going: UnderWay) -> NDArray[np.int64]:
    return np.arange(LOOKED_AT) % len(going.photos.labels)


def make_pictures(going: UnderWay) -> NDArray[np.uint8]:
    """From fixed seeds, the classes in turn: uint8 ``[256, side, side, 3]``, by the averaged weights."""
    latents = torch.from_numpy(fixed_latents(going.preset.latent, LOOKED_AT, going.preset.seed))
    classes = one_hot(torch.from_numpy(_classes_in_turn(going)), len(going.photos.labels))
    kept, device = going.kept.eval(), going.fabric.device
    found = []
    with torch.inference_mode():
        for first in range(0, LOOKED_AT, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            found.append(to_pixels(kept(latents[some].to(device), classes[some].to(device))).cpu().numpy())
    return np.concatenate(found)


def _contrast(pictures: NDArray[np.uint8]) -> float:
    """The standard deviation of the pixels of each picture, their mean over the pictures."""
    return float(pictures.astype(np.float32).std(axis=(1, 2, 3)).mean())
