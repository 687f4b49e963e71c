from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from veduta.errors import BundleIncompatible, UsageError
from veduta.generation.sampler import Sampler
from veduta.models.bundle import Bundle
from veduta.models.store import find
from veduta.recognition.tagger import load


@pytest.fixture
def sampler(generator: Path) -> Sampler:
    return Sampler.load(generator)


def test_a_picture_is_the_same_however_many_are_asked_for(sampler: Sampler) -> None:
    whole = sampler.sample(7, 5)
    assert whole.pictures.shape == (7, 32, 32, 3)
    assert whole.targets.tolist() == [0, 1, 0, 1, 0, 1, 0]
    later = sampler.sample(3, 5, first=4)
    assert np.array_equal(whole.pictures[4:], later.pictures)
    assert np.array_equal(whole.targets[4:], later.targets)
    assert not np.array_equal(whole.pictures, sampler.sample(7, 6).pictures)


def test_a_class_is_asked_for_by_name_in_any_spelling(sampler: Sampler) -> None:
    assert sampler.sample(4, classes=["Wood"]).targets.tolist() == [1, 1, 1, 1]
    with pytest.raises(UsageError, match=r"makes no 'woods'; did you mean 'wood'.*its classes are sea, wood"):
        sampler.sample(4, classes=["woods"])


def test_the_way_begins_and_ends_with_the_pictures_of_its_ends(sampler: Sampler) -> None:
    way = sampler.interpolate((3, 4), ("sea", "wood"), 5)
    for place, (seed, name) in ((0, (3, "sea")), (-1, (4, "wood"))):
        end = sampler.sample(1, seed, [name]).pictures[0]
        assert np.abs(way[place].astype(int) - end).max() <= 1


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_a_number_that_cannot_be_meant_is_refused(sampler: Sampler, count: int) -> None:
    with pytest.raises(UsageError):
        sampler.sample(count)
    with pytest.raises(UsageError):
        sampler.interpolate((0, 1), ("sea", "sea"), count)


def test_a_classifier_generates_nothing_and_a_generator_tags_nothing(generator: Path) -> None:
    with pytest.raises(BundleIncompatible, match="kind classifier, and generates nothing"):
        Sampler(Bundle.load(find("places100")))
    with pytest.raises(BundleIncompatible, match="kind generator; tagging needs a classifier"):
        load(generator)


def test_no_torch_is_needed(generator: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from veduta.generation.sampler import Sampler\n"
        f"print(Sampler.load({str(generator)!r}).sample(2).pictures.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "(2, 32, 32, 3)"
