from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from veduta.errors import UsageError
from veduta.recognition.scoring import (
    CoarseSums,
    EnvironmentReading,
    best,
    drop_mask,
    mask_and_renormalise,
    probabilities,
)
from veduta.records import Label

LABELS = (
    Label("kitchen", "kitchen", "indoor", "home"),
    Label("forest_path", "forest path", "outdoor", "forest"),
    Label("rainforest", "rainforest", "outdoor", "forest"),
    Label("teapot", "teapot"),
)

logits = arrays(np.float32, (3, 4), elements=st.floats(-80, 80, width=32))


def test_one_label_gets_a_softmax() -> None:
    got = probabilities(np.log(np.array([[1, 2, 3, 4]], np.float32)), "single_label", None)
    np.testing.assert_allclose(got, [[0.1, 0.2, 0.3, 0.4]], rtol=1e-6)


def test_many_labels_get_a_sigmoid_each() -> None:
    got = probabilities(np.array([[0, np.log(3), -np.log(3), 100]], np.float32), "multi_label", None)
    np.testing.assert_allclose(got, [[0.5, 0.75, 0.25, 1.0]], rtol=1e-6)


def test_extreme_logits_overflow_in_neither_task() -> None:
    extreme = np.array([[-1e4, 1e4, 0, 5]], np.float32)
    assert np.isfinite(probabilities(extreme, "single_label", 0.01)).all()
    assert np.isfinite(probabilities(extreme, "multi_label", 0.01)).all()


def test_a_temperature_above_one_makes_the_top_label_less_sure() -> None:
    row = np.array([[3, 1, 0, 0]], np.float32)
    assert probabilities(row, "single_label", 2.0)[0, 0] < probabilities(row, "single_label", None)[0, 0]


@given(logits)
def test_a_softmax_sums_to_one_and_keeps_the_order(values: np.ndarray) -> None:
    got = probabilities(values, "single_label", 1.3)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)
    assert (np.take_along_axis(got, values.argmax(1)[:, None], 1)[:, 0] == got.max(1)).all()


@given(logits)
def test_a_row_is_the_same_to_the_bit_whatever_lies_beside_it(values: np.ndarray) -> None:
    together, sums = probabilities(values, "single_label", 1.3), CoarseSums(LABELS)
    for row in range(len(values)):
        alone = probabilities(values[row : row + 1], "single_label", 1.3)
        assert (alone[0] == together[row]).all()
        assert (sums(alone)[0] == sums(together)[row]).all()


def test_a_coarse_label_sums_its_members_from_the_whole_distribution() -> None:
    sums = CoarseSums(LABELS)
    assert [label.id for label in sums.labels] == ["forest", "home"]
    got = sums(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
    np.testing.assert_allclose(got, [[0.5, 0.1]], rtol=1e-6)


def test_labels_without_a_coarse_label_have_no_coarse_sums() -> None:
    assert CoarseSums(LABELS[3:]).labels == ()


def test_a_dropped_class_has_no_probability_and_the_others_share_it() -> None:
    keep = drop_mask(LABELS, ["rainforest", "teapot"])
    got = mask_and_renormalise(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), keep)
    np.testing.assert_allclose(got, [[1 / 3, 2 / 3, 0, 0]], rtol=1e-6)


def test_dropping_all_that_was_probable_leaves_numbers() -> None:
    got = mask_and_renormalise(np.array([[0, 0, 0, 1]], np.float32), drop_mask(LABELS, ["teapot"]))
    np.testing.assert_allclose(got, [[1 / 3, 1 / 3, 1 / 3, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("dropped", "told"), [(["kichen"], "'kichen'"), ([label.id for label in LABELS], "at least one")]
)
def test_dropping_what_is_not_there_or_everything_is_refused(dropped: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        drop_mask(LABELS, dropped)


def test_the_best_labels_come_first_and_equals_stay_in_order() -> None:
    got = best(np.array([0.2, 0.3, 0.2, 0.3], np.float32), LABELS, 3)
    assert [score.label.id for score in got] == ["forest_path", "teapot", "kitchen"]


def test_a_label_without_any_probability_is_not_told() -> None:
    assert len(best(np.array([1, 0, 0, 0], np.float32), LABELS, 4)) == 1


def test_the_environment_leaves_out_labels_that_have_none() -> None:
    got = EnvironmentReading(LABELS)(np.array([0.1, 0.1, 0.2, 0.6], np.float32))
    assert got is not None
    assert got.kind == "outdoor"
    assert got.outdoor_probability == pytest.approx(0.75)
    assert got.outdoor_vote == pytest.approx(2 / 3)
    assert got.margin == pytest.approx(0.5)


def test_exactly_half_is_outdoor_and_below_is_indoor() -> None:
    read = EnvironmentReading(LABELS)
    assert read(np.array([0.25, 0.25, 0, 0.5], np.float32)).kind == "outdoor"  # type: ignore[union-attr]
    assert read(np.array([0.26, 0.24, 0, 0.5], np.float32)).kind == "indoor"  # type: ignore[union-attr]


def test_the_vote_counts_ten_labels_and_the_probability_all() -> None:
    labels = [Label(str(i), str(i), "indoor" if i < 10 else "outdoor") for i in range(30)]
    row = np.array([0.04] * 10 + [0.03] * 20, np.float32)
    got = EnvironmentReading(labels)(row)
    assert got is not None
    assert got.outdoor_vote == 0.0
    assert got.kind == "outdoor"


def test_without_any_environment_nothing_is_guessed() -> None:
    assert EnvironmentReading(LABELS[3:])(np.array([1], np.float32)) is None
