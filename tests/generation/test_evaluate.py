from __future__ import annotations

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
    assert (found.pictures, found.real, found.training) == (40, 4, 44)
    assert figures["recognised"] is None
    assert found.relative_diversity < 0.2
    assert found.copies.closer == 0
    assert all(np.isfinite(value) for value in figures.values() if isinstance(value, float))


def test_given_photos_away_is_called_copies_and_is_as_good_as_photos(generator: Path, tmp_path: Path) -> None:
    data, other = (write_photos(tmp_path / name, {"sea": 40, "wood": 40}, seed) for seed, name in enumerate(("a", "b")))
    learnt = read_photos(data, 32)
    thief = Thief(Sampler.load(generator), learnt.rgb(learnt.training), learnt.targets[learnt.training])
    found = evaluate_generator(thief, data, held_out=other, count=60, features=FEATURES)
    assert found.real == 80
    assert found.copies.closest == pytest.approx(0, abs=1e-5)
    assert found.copies.closer == 60
    assert found.precision > 0.85
    assert found.relative_diversity == pytest.approx(1, abs=0.2)
    honest = evaluate_generator(Sampler.load(generator), data, held_out=other, count=60, features=FEATURES)
    assert found.kernel_distance < honest.kernel_distance / 10
    assert found.frechet_distance < honest.frechet_distance


def test_the_judge_is_asked_about_classes_that_it_knows_alone() -> None:
    judge = load("places100")
    pictures = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3)).astype(np.uint8)
    found = recognise(judge, pictures, np.array([0, 1, 0, 1, 0, 1]), ("coast", "no such place"))
    assert found is not None
    assert (found.top1.count, found.top5.count) == (3, 3)
    assert found.top1.right <= found.top5.right
    assert recognise(judge, pictures, np.zeros(6, np.int64), ("nothing at all",)) is None


def test_too_little_to_compare_is_told(generator: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 of each are needed"):
        evaluate_generator(Sampler.load(generator), photos, count=1, features=FEATURES)
    few = write_photos(tmp_path, {"sea": 3, "wood": 3})
    with pytest.raises(UsageError, match="0 photos that the generator never saw"):
        evaluate_generator(Sampler.load(generator), few, features=FEATURES)
    with pytest.raises(UsageError, match="no class 'wood'"):
        evaluate_generator(Sampler.load(generator), write_photos(tmp_path / "b", {"sea": 3, "x": 1}), features=FEATURES)
