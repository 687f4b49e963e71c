"""How good a generator is: its pictures against photos that it never saw, and against those that it learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import UsageError
from veduta.evaluation.metrics import wilson_interval
from veduta.evaluation.names import match_label
from veduta.generation.features import FeatureNetwork
from veduta.generation.measures import (
    Features,
    Nearest,
    diversity,
    diversity_within,
    frechet_distance,
    kernel_distance,
    nearest,
    precision_and_recall,
)
from veduta.generation.photos import Photos, read_photos
from veduta.generation.sampler import Sample, Sampler
from veduta.images.preprocess import prepare
from veduta.recognition.tagger import Tagger

# Pictures that are asked about at once.
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Share:
    """``right`` of ``count``, with the 95 % interval (Wilson)."""

    right: int
    count: int

    @property
    def value(self) -> float:
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.right, self.count)


@dataclass(frozen=True, slots=True)
class Recognition:
    """Of pictures, those whose own class a model names first, or among its first five."""

    top1: Share
    top5: Share


@dataclass(frozen=True, slots=True)
class Copies:
    """How close generated pictures come to training photos, as cosine distance of features.

    ``limit`` is the first percentile of the distances of held-out photos, ``closer`` how many pictures are below it,
    and ``nearest`` for each picture which training photo is the nearest.
    """

    limit: float
    closer: int
    closest: float
    nearest: Nearest


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures. ``real`` photos were never trained on; distances are of as many pictures as there are of them."""

    features: str
    judge: str
    pictures: int
    real: int
    training: int
    kernel_distance: float
    kernel_deviation: float
    frechet_distance: float
    precision: float
    recall: float
    diversity: float
    diversity_within: float
    real_diversity: float
    real_diversity_within: float
    made_recognised: Recognition | None
    real_recognised: Recognition | None
    copies: Copies
    sample: Sample
    photos: Photos

    @property
    def relative_diversity(self) -> float:
        """Of the photos'."""
        return self.diversity / max(self.real_diversity, 1e-12)

    @property
    def relative_diversity_within(self) -> float:
        """The same within classes, which a generator that knows one picture of each class would not have."""
        return self.diversity_within / max(self.real_diversity_within, 1e-12)

    def figures(self) -> dict[str, Any]:
        """All of them as JSON values, without pictures."""

        def recognition(found: Recognition | None) -> dict[str, Any] | None:
            if found is None:
                return None
            shares = {"top1": found.top1, "top5": found.top5}
            return {name: {"value": each.value, "interval": each.interval} for name, each in shares.items()}

        return {
            "features": self.features,
            "judge": self.judge,
            "pictures": self.pictures,
            "real_photos": self.real,
            "training_photos": self.training,
            "kernel_distance": self.kernel_distance,
            "kernel_distance_deviation": self.kernel_deviation,
            "frechet_distance": self.frechet_distance,
            "precision": self.precision,
            "recall": self.recall,
            "diversity": self.diversity,
            "diversity_of_photos": self.real_diversity,
            "relative_diversity": self.relative_diversity,
            "diversity_within_classes": self.diversity_within,
            "diversity_within_classes_of_photos": self.real_diversity_within,
            "relative_diversity_within_classes": self.relative_diversity_within,
            "recognised": recognition(self.made_recognised),
            "real_recognised": recognition(self.real_recognised),
            "copies": {"limit": self.copies.limit, "closer": self.copies.closer, "closest": self.copies.closest},
        }


def evaluate_generator(
    sampler: Sampler,
    data: Path,
    *,
    held_out: Path | None = None,
    per_class: int | None = None,
    photo_seed: int = 0,
    count: int = 2000,
    seed: int = 1,
    features: FeatureNetwork | None = None,
    judge: Tagger | None = None,
    on_stage: Callable[[str], None] = lambda _words: None,
    on_picture: Callable[[int, int], None] = lambda _done, _all: None,
) -> Evaluation:
    """Generate ``count`` pictures and hold them against the photos of ``data``, which the generator learnt from.

    Real photos that it never saw are those of ``held_out``; without it those that a training with ``per_class`` and
    ``photo_seed`` held out of ``data``. ``judge`` tells how many pictures show the class that was asked for; classes
    that it does not know are left out of that.
    Raises UsageError where there are too few pictures or photos to compare, and what ``read_photos`` raises.
    """
    features = features or FeatureNetwork.load()
    on_stage("reading photos")
    photos = _photos(sampler, data, held_out, per_class, photo_seed, on_picture)
    training, real = photos.rgb(photos.training), photos.rgb(np.flatnonzero(photos.held_out))
    if min(len(real), count) < 2:
        raise UsageError(
            f"{len(real)} photos that the generator never saw, and {count} pictures: 2 of each are needed to compare; "
            "name photos (--held-out), or generate more (--count)."
        )
    on_stage(f"generating {count:,} pictures")
    sample = sampler.sample(count, seed)
    on_stage("looking at pictures and photos")
    of_made, of_real, of_training = (features(each, on_picture) for each in (sample.pictures, real, training))
    on_stage("measuring")
    real_targets = photos.targets[photos.held_out]
    # As many as there are photos; the classes were made in turn, so each has its share.
    alike = min(len(real), count)
    kernel, deviation = kernel_distance(of_real, of_made)
    precision, recall = precision_and_recall(of_real, of_made[:alike])
    labels = sampler.labels
    return Evaluation(
        features=features.name,
        judge="" if judge is None else judge.bundle.name,
        pictures=count,
        real=len(real),
        training=len(training),
        kernel_distance=kernel,
        kernel_deviation=deviation,
        frechet_distance=frechet_distance(of_real[:alike], of_made[:alike]),
        precision=precision,
        recall=recall,
        diversity=diversity(of_made),
        diversity_within=diversity_within(of_made, sample.targets),
        real_diversity=diversity(of_real),
        real_diversity_within=diversity_within(of_real, real_targets),
        made_recognised=None if judge is None else recognise(judge, sample.pictures, sample.targets, labels),
        real_recognised=None if judge is None else recognise(judge, real, real_targets, labels),
        copies=_copies(of_made, of_real, of_training),
        sample=sample,
        photos=photos,
    )


def recognise(
    judge: Tagger, pictures: NDArray[np.uint8], targets: NDArray[np.int64], labels: Sequence[str]
) -> Recognition | None:
    """How many pictures uint8 ``[n, h, w, 3]`` show their class, by a model; None where it knows none of them."""
    place = [match_label(label, judge.labels) for label in labels]
    known = np.array([place[target] is not None for target in targets], bool)
    if not known.any():
        return None
    wanted = np.array([place[target] for target in targets[known]], np.int64)
    ranks = []
    for first in range(0, len(wanted), _AT_ONCE):
        images = [Image.fromarray(picture) for picture in pictures[known][first : first + _AT_ONCE]]
        seen = [prepare(image, judge.preprocessing, image.size)[0] for image in images]
        logits = judge.session.run(seen, [judge.head.logits])[judge.head.logits]
        of_wanted = np.take_along_axis(logits, wanted[first : first + _AT_ONCE, np.newaxis], axis=1)
        ranks.append((logits > of_wanted).sum(axis=1))
    rank = np.concatenate(ranks)
    return Recognition(Share(int((rank < 1).sum()), len(rank)), Share(int((rank < 5).sum()), len(rank)))


def _photos(
    sampler: Sampler,
    data: Path,
    held_out: Path | None,
    per_class: int | None,
    seed: int,
    on_picture: Callable[[int, int], None],
) -> Photos:
    """Of the generator's classes: what it learnt from, and what it never saw."""
    spec = sampler.spec

    def read(place: Path) -> Photos:
        return read_photos(
            place,
            spec.side,
            grayscale=spec.grayscale,
            classes=sampler.labels,
            per_class=per_class,
            seed=seed,
            on_photo=on_picture,
        )

    learnt = read(data)
    if held_out is None:
        return learnt
    per_class = None
    other = read(held_out)
    if other.labels != learnt.labels:
        raise UsageError(f"{held_out} has other classes than {data}; give photos of the generator's classes.")
    trained = learnt.training
    return Photos(
        np.concatenate([learnt.pixels[trained], other.pixels]),
        np.concatenate([learnt.targets[trained], other.targets]),
        learnt.labels,
        np.concatenate([np.zeros(len(trained), bool), np.ones(len(other), bool)]),
        tuple(learnt.paths[place] for place in trained) + other.paths,
    )


def _copies(made: Features, real: Features, training: Features) -> Copies:
    limit = float(np.percentile(nearest(real, training).distance, 1))
    found = nearest(made, training)
    return Copies(limit, int((found.distance < limit).sum()), float(found.distance.min()), found)
