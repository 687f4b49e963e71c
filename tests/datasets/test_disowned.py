"""Photos that the others of their class disown, among made embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.disowned import FAR, FEWEST, farness, find_disowned, mislabelled

COUNT, DIMENSIONS = 120, 20


def clouds(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two classes that lie apart."""
    draw = np.random.default_rng(seed)
    targets = np.repeat([0, 1], COUNT // 2)
    values = draw.normal(size=(COUNT, DIMENSIONS))
    values[:, 0] += np.where(targets == 0, -6, 6)
    return values, targets


def said(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities by the side that a photo lies on."""
    one = 1 / (1 + np.exp(-values[:, 0]))
    return np.stack([1 - one, one], axis=1)


def test_a_photo_of_another_class_is_found_and_told_by_the_name_of_that_class() -> None:
    values, targets = clouds()
    wrong = targets.copy()
    wrong[[3, 70]] = 1 - wrong[[3, 70]]
    found = find_disowned(said(values), values, wrong, ["cat", "dog"])
    assert found[3].startswith("disowned: the other photos call it cat (")
    assert found[70].startswith("disowned: the other photos call it dog (")
    assert len(found) <= 5


def test_a_doubt_is_no_mistake() -> None:
    values, targets = clouds()
    probabilities = said(values)
    probabilities[5] = 0.49, 0.51
    assert not mislabelled(probabilities, targets).any()


def test_a_photo_of_something_else_lies_far_from_its_class() -> None:
    values, targets = clouds()
    values[7, 5:12] += 15
    far = farness(values, targets, np.zeros(COUNT, bool))
    assert far[7] > FAR
    assert far.argmax() == 7
    found = find_disowned(said(values), values, targets, ["cat", "dog"])
    assert found[7] == "disowned: unlike the other photos of cat"


def test_many_of_something_else_do_not_hide_each_other() -> None:
    values, targets = clouds()
    strangers = [1, 11, 21, 31, 65, 75, 85, 95]
    values[strangers, 5:12] += np.random.default_rng(1).normal(15, 2, (8, 7))
    far = farness(values, targets, np.zeros(COUNT, bool))
    assert (far[strangers] > FAR).all()


def test_those_that_are_known_to_be_wrong_widen_no_class() -> None:
    values, targets = clouds()
    wrong = np.zeros(COUNT, bool)
    wrong[:20] = True
    values[wrong, 5:12] += 15
    values[100, 5:12] += 15
    assert farness(values, targets, wrong)[100] > FAR


def test_few_photos_tell_nothing_of_how_far_their_class_reaches() -> None:
    values, targets = clouds()
    few = np.r_[0 : FEWEST // 2 - 1, COUNT // 2 : COUNT // 2 + FEWEST // 2]
    assert not farness(values[few], targets[few], np.zeros(len(few), bool)).any()


def test_the_same_photos_are_disowned_each_time() -> None:
    values, targets = clouds()
    values[7, 5:12] += 9
    assert (farness(values, targets, np.zeros(COUNT, bool)) == farness(values, targets, np.zeros(COUNT, bool))).all()
