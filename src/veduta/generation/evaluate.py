"""How good a generator is: its pictures against photos that it never saw, and against those that it learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.identical import content_names
from veduta.errors import UsageError
from veduta.evaluation.metrics import wilson_interval
from veduta.evaluation.names import match_label
from veduta.generation.copies import Copies, Originals
from veduta.generation.features import FeatureNetwork, prepared
from veduta.generation.measures import (
    diversity,
    diversity_within,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
)
from veduta.generation.photos import Photos, pixels_of, read_classes
from veduta.generation.sampler import Sample, Sampler
from veduta.images.limits import printable
from veduta.recognition.tagger import Tagger
from veduta.records import Failure

# Pictures that are asked about at once.
_AT_ONCE = 128
# Precision and recall look at a third neighbour.
_FEWEST = 4


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
class Evaluation:
    """All figures. ``real`` photos were never trained on; distances are of as many pictures as there are of them."""

    generator: str
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
    training_photos: Photos
    real_photos: Photos

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
            "generator": self.generator,
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
            "copies": {
                "limit": self.copies.limit.distance,
                "closer": self.copies.closer,
                "closest": self.copies.closest,
                "expected_by_chance": self.copies.expected,
                "chance_of_so_many": self.copies.chance,
            },
        }


def evaluate_generator(
    sampler: Sampler,
    data: Path,
    *,
    held_out: Path | None = None,
    count: int = 2000,
    seed: int = 1,
    features: FeatureNetwork | None = None,
    judge: Tagger | None = None,
    on_stage: Callable[[str], None] = lambda _words: None,
    on_picture: Callable[[int, int], None] = lambda _done, _all: None,
    on_note: Callable[[str], None] = lambda _words: None,
) -> Evaluation:
    """Generate ``count`` pictures and hold them against the photos of ``data``, among which are those that it learnt.

    A generator knows the photos that it learnt from by their contents: real photos are all others of its classes in
    ``held_out``, or without it in ``data``. ``judge`` tells how many pictures show the class that was asked for;
    classes that it does not know are left out of that.
    Raises UsageError where there are too few pictures or photos to compare, and what ``read_data`` raises.
    """
    features = features or FeatureNetwork.load()
    if count < _FEWEST:
        raise UsageError(f"{count} pictures are too few to compare; generate {_FEWEST} or more (--count).")
    on_stage("reading photos")
    training, real = _photos(sampler, data, held_out, on_picture, on_note)
    on_stage(f"generating {count:,} pictures")
    sample = sampler.sample(count, seed)
    on_stage("looking at pictures and photos")
    # Of each class in turn, as the pictures are, so that the first of them are a fair part.
    order = real.in_turn(np.arange(len(real)), len(real))
    real_pixels, real_targets = real.rgb(order), real.targets[order]
    of_made, of_real = features(sample.pictures, on_picture), features(real_pixels, on_picture)
    training_pixels = training.rgb(np.arange(len(training)))
    originals = Originals(training_pixels, features(training_pixels, on_picture))
    on_stage("measuring")
    alike = min(len(real), count)
    kernel, deviation = kernel_distance(of_real, of_made)
    precision, recall = precision_and_recall(of_real[:alike], of_made[:alike])
    labels = sampler.labels
    return Evaluation(
        generator=sampler.name,
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
        real_recognised=None if judge is None else recognise(judge, real_pixels, real_targets, labels),
        copies=Copies(originals.limit(real_pixels, of_real), originals.nearest(sample.pictures, of_made)),
        sample=sample,
        training_photos=training,
        real_photos=real,
    )


def recognise(
    judge: Tagger, pictures: NDArray[np.uint8], targets: NDArray[np.int64], labels: Sequence[str]
) -> Recognition | None:
    """How many pictures uint8 ``[n, h, w, 3]`` show their class, by a model; None where it knows none of them."""
    place = [match_label(label, judge.labels) for label in labels]
    asked = np.flatnonzero([place[target] is not None for target in targets])
    if not len(asked):
        return None
    ranks = []
    for first in range(0, len(asked), _AT_ONCE):
        some = asked[first : first + _AT_ONCE]
        seen = [prepared(picture, judge.preprocessing) for picture in pictures[some]]
        logits = judge.session.run(seen, [judge.head.logits])[judge.head.logits]
        wanted = np.array([place[target] for target in targets[some]], np.int64)
        ranks.append((logits > np.take_along_axis(logits, wanted[:, np.newaxis], axis=1)).sum(axis=1))
    rank = np.concatenate(ranks)
    return Recognition(Share(int((rank < 1).sum()), len(rank)), Share(int((rank < 5).sum()), len(rank)))


def _photos(
    sampler: Sampler,
    data: Path,
    held_out: Path | None,
    on_picture: Callable[[int, int], None],
    on_note: Callable[[str], None],
) -> tuple[Photos, Photos]:
    """Of the generator's classes: the photos that it learnt from, and those that it never saw."""
    spec, learnt = sampler.spec, set(sampler.spec.learnt)

    def part(place: Path, known: bool) -> Photos:
        entries = [
            entry for entry in read_classes(place).photos if match_label(entry.labels[0], spec.labels) is not None
        ]
        names = content_names([entry.path for entry in entries])
        chosen = [entry for entry, name in zip(entries, names, strict=True) if (name in learnt) is known]
        least, what = (1, "it learnt from") if known else (_FEWEST, "it never saw")
        if len(chosen) < least:
            raise UsageError(
                f"{printable(str(place))} has {len(chosen):,} photos of {sampler.bundle.name}'s classes that {what}, "
                f"and {least} or more are needed; name others{'' if known else ' (--held-out)'}."
            )
        failures: list[Failure] = []
        found = pixels_of(
            chosen,
            spec.labels,
            spec.side,
            grayscale=spec.grayscale,
            on_photo=on_picture,
            on_failures=failures.extend,
        )
        if failures:
            on_note(f"{len(failures):,} photos can't be decoded and are left out; the first: {failures[0].message}")
        if len(found) < least:
            raise UsageError(
                f"{printable(str(place))}: {len(found):,} of its photos can be decoded; {least} are needed."
            )
        return found

    return part(data, True), part(data if held_out is None else held_out, False)
