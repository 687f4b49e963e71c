from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.generation.evaluate import evaluate_generator, recognise
from veduta.generation.photos import read_photos
from veduta.generation.sampler import Sample, Sampler
from veduta.recognition.tagger import load
from veduta.records import Label
from veduta.workflows.sample import write_sample

from .tiny import FEATURES, write_photos


class Thief(Sampler):
    """Generates nothing: it gives training photos away."""

    def __init__(self, sampler: Sampler, pixels: NDArray[np.uint8], targets: NDArray[np.int64]) -> None:
        super().__init__(sampler.bundle)
        self.stolen, self.targets = pixels, targets

    def sample(self, count: int, seed: int = 0, classes: Any = (), first: int = 0) -> Sample:
        places = np.random.default_rng(seed).integers(0, len(self.stolen), count)
        return Sample(self.stolen[places], self.targets[places])


def test_figures_of_a_fresh_generator_are_bad_and_complete(generator: Path, photos: Path) -> None:
    found = evaluate_generator(Sampler.load(generator), photos, count=40, features=FEATURES)
    figures = found.figures()
    assert (found.pictures, found.real, found.training) == (40, 4, 44)  # as the training held them out
    assert figures["recognised"] is None
    assert found.relative_diversity < 0.2
    assert found.copies.closer == 0
    assert all(np.isfinite(value) for value in figures.values() if isinstance(value, float))


def test_given_photos_away_is_called_copies_and_is_as_good_as_photos(
    generator: Path, photos: Path, tmp_path: Path
) -> None:
    other = write_photos(tmp_path / "b", {"sea": 40, "wood": 40}, seed=1)
    learnt = read_photos(photos, 32)
    thief = Thief(Sampler.load(generator), learnt.rgb(learnt.training), learnt.targets[learnt.training])
    found = evaluate_generator(thief, photos, held_out=other, count=60, features=FEATURES)
    assert (found.real, found.training) == (80, 44)
    assert found.copies.closest == pytest.approx(0, abs=1e-5)
    assert found.copies.closer == 60
    assert found.copies.expected == pytest.approx(60 / 81)
    assert found.copies.chance < 1e-12
    assert found.precision > 0.85
    assert found.relative_diversity == pytest.approx(1, abs=0.2)
    honest = evaluate_generator(Sampler.load(generator), photos, held_out=other, count=60, features=FEATURES)
    assert found.kernel_distance < honest.kernel_distance / 10
    assert found.frechet_distance < honest.frechet_distance


def test_photos_that_were_learnt_from_never_count_as_unseen(generator: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "mixed")
    (tmp_path / "mixed" / "sea").rename(tmp_path / "mixed" / "Sea")  # another spelling, the same photos
    write_photos(tmp_path / "other", {"wood": 5}, seed=2)
    for path in (tmp_path / "other" / "wood").iterdir():
        path.rename(tmp_path / "mixed" / "wood" / f"other-{path.name}")
    found = evaluate_generator(
        Sampler.load(generator), photos, held_out=tmp_path / "mixed", count=20, features=FEATURES
    )
    assert found.real == 4 + 5


def test_fewer_pictures_than_photos_are_held_against_photos_of_every_class(
    generator: Path, photos: Path, tmp_path: Path
) -> None:
    other = write_photos(tmp_path / "b", {"sea": 30, "wood": 30}, seed=1)
    learnt = read_photos(other, 32, per_class=30)
    thief = Thief(Sampler.load(generator), learnt.rgb(learnt.training), learnt.targets[learnt.training])
    found = evaluate_generator(thief, photos, held_out=other, count=20, features=FEATURES)
    assert found.recall > 0.5  # of the first class alone it would be half of that at best
    assert found.precision > 0.5


def test_the_judge_is_asked_about_classes_that_it_knows_alone() -> None:
    judge = load("places100")
    pictures = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3)).astype(np.uint8)
    found = recognise(judge, pictures, np.array([0, 1, 0, 1, 0, 1]), ("coast", "no such place"))
    assert found is not None
    assert (found.top1.count, found.top5.count) == (3, 3)
    assert found.top1.right <= found.top5.right
    assert recognise(judge, pictures, np.zeros(6, np.int64), ("nothing at all",)) is None


def test_folders_may_be_called_by_a_class_s_name_or_its_id(generator: Path, photos: Path, tmp_path: Path) -> None:
    sampler = Sampler.load(generator)
    named = (Label("n01", "sea"), Label("n02", "wood"))
    sampler.spec = replace(sampler.spec, labels=named)
    shutil.copytree(photos, tmp_path / "mixed")
    (tmp_path / "mixed" / "wood").rename(tmp_path / "mixed" / "n02")
    found = evaluate_generator(sampler, tmp_path / "mixed", count=20, features=FEATURES)
    assert (found.training, found.real) == (44, 4)
    assert found.training_photos.labels == ("n01", "n02")


def test_too_little_to_compare_is_told(generator: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 pictures are too few to compare; generate 4"):
        evaluate_generator(Sampler.load(generator), photos, count=3, features=FEATURES)
    few = write_photos(tmp_path / "few", {"sea": 2, "wood": 1}, seed=3)
    with pytest.raises(UsageError, match=r"has 3 photos of .* that it never saw, and 4 or more are needed.*--held-out"):
        evaluate_generator(Sampler.load(generator), photos, held_out=few, features=FEATURES)
    with pytest.raises(UsageError, match=r"has 0 photos of .* that it learnt from"):
        evaluate_generator(Sampler.load(generator), few, features=FEATURES)


def test_generated_pictures_are_never_taken_for_photos(generator: Path, photos: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "made", generator, count=20)
    with pytest.raises(UsageError, match="has 0 photos"):
        evaluate_generator(Sampler.load(generator), photos, held_out=tmp_path / "made", features=FEATURES)
    with pytest.raises(UsageError, match="no photo to learn from: all are dropped, for testing, or generated"):
        read_photos(tmp_path / "made", 32, classes=["sea"])
