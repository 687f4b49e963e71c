from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.calibration import (
    Binning,
    calibrate,
    calibration_error,
    classwise_calibration_error,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from veduta.models.bundle import Task
from veduta.recognition.scoring import probabilities


def _made(count: int, seed: int, boldness: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities over five classes and answers drawn from them; a boldness above 1 says more than is true."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 5)).astype(np.float32)
    chances = probabilities(logits, "single_label", 1.0)
    targets = (chances.cumsum(1) > random.random((count, 1))).argmax(1)
    return probabilities(logits * boldness, "single_label", 1.0), targets


def test_sure_and_right_has_no_calibration_error_and_sure_and_wrong_has_all() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert expected_calibration_error(sure, np.zeros(4, np.int64)) == pytest.approx(0.0)
    assert expected_calibration_error(sure, np.ones(4, np.int64)) == pytest.approx(1.0)
    assert classwise_calibration_error(sure, np.ones(4, np.int64)) == pytest.approx(1.0)


def test_saying_eighty_percent_and_being_right_in_four_of_five_is_calibrated() -> None:
    said = np.array([[0.8, 0.2]] * 5)
    assert expected_calibration_error(said, np.array([0, 0, 0, 0, 1])) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_answers_drawn_from_the_probabilities_have_an_error_near_zero(seed: int) -> None:
    said, targets = _made(20_000, seed)
    assert expected_calibration_error(said, targets) < 0.02
    assert expected_calibration_error(said, targets, by="mass") < 0.02
    assert classwise_calibration_error(said, targets) < 0.02


def test_the_error_of_a_calibrated_model_is_what_chance_gives_and_its_interval_reaches_zero() -> None:
    said, targets = _made(1000, 3)
    error = calibration_error(said, targets, rounds=200)
    assert error.interval[0] == 0.0
    assert error.value < 2 * error.by_chance
    assert error.interval[0] <= error.value <= error.interval[1]


def test_the_error_of_a_bold_model_is_beyond_chance_and_its_interval_holds_the_true_one() -> None:
    many, answers = _made(200_000, 1, boldness=2.0)
    true = expected_calibration_error(many, answers)
    error = calibration_error(*_made(2000, 2, boldness=2.0), rounds=200)
    assert error.interval[0] > error.by_chance / 2
    assert error.interval[0] < true < error.interval[1]


def test_the_same_photos_give_the_same_interval() -> None:
    said, targets = _made(300, 4)
    assert calibration_error(said, targets, rounds=50) == calibration_error(said, targets, rounds=50)


@pytest.mark.parametrize("by", ["width", "mass"])
@given(data=st.data())
def test_bins_hold_every_photo_once_and_their_gaps_make_the_error(by: Binning, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 80))
    top = data.draw(hnp.arrays(np.float64, count, elements=st.floats(0.5, 1.0)))
    said = np.stack([top, 1 - top], axis=1)
    targets = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 1)))
    right = said.argmax(axis=1) == targets
    bins = reliability_bins(said.max(axis=1), right, 10, by)
    assert sum(each.count for each in bins) == count
    gap = sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / count
    assert gap == pytest.approx(expected_calibration_error(said, targets, 10, by), abs=1e-9)
    for each in bins:
        assert each.interval[0] <= each.accuracy <= each.interval[1]
        assert not each.count or each.low - 1e-9 <= each.confidence <= each.high + 1e-9


def test_bins_of_equal_mass_hold_equally_many() -> None:
    random = np.random.default_rng(0)
    bins = reliability_bins(random.random(1000) ** 3, random.random(1000) < 0.5, 10, "mass")
    assert [each.count for each in bins] == [100] * 10


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(UsageError, match="probabilities"):
        reliability_bins(np.array([3.2]), np.array([True]))
    with pytest.raises(UsageError, match="probabilities"):
        reliability_bins(np.array([np.nan]), np.array([True]))
    with pytest.raises(UsageError, match="bins"):
        reliability_bins(np.array([0.2]), np.array([True]), 0)
    with pytest.raises(UsageError, match="needs photos"):
        calibration_error(np.empty((0, 3)), np.empty(0, np.int64))


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found_again(true_temperature: float) -> None:
    random = np.random.default_rng(7)
    logits = random.normal(0, 3, (20_000, 5)).astype(np.float32)
    chances = probabilities(logits, "single_label", true_temperature)
    targets = (chances.cumsum(1) > random.random((len(logits), 1))).argmax(1)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(true_temperature, rel=0.05)
    assert expected_calibration_error(probabilities(logits, "single_label", found), targets) < 0.02


@pytest.mark.parametrize("true_temperature", [0.5, 3.0])
def test_the_temperature_of_sigmoids_is_found_again(true_temperature: float) -> None:
    random = np.random.default_rng(8)
    logits = random.normal(0, 3, (20_000, 4)).astype(np.float32)
    present = random.random(logits.shape) < probabilities(logits, "multi_label", true_temperature)
    assert fit_temperature(logits, present, "multi_label") == pytest.approx(true_temperature, rel=0.05)


def test_targets_that_do_not_belong_to_the_task_are_refused() -> None:
    logits = np.zeros((4, 3), np.float32)
    with pytest.raises(UsageError, match=r"expected \[4, 3\]"):
        fit_temperature(logits, np.zeros(4, np.int64), "multi_label")
    with pytest.raises(UsageError, match=r"expected \[4\]"):
        fit_temperature(logits, np.zeros((4, 3), bool))
    with pytest.raises(UsageError, match="at least one photo"):
        fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))


def test_photos_that_are_too_few_or_all_right_give_no_temperature() -> None:
    random = np.random.default_rng(5)
    targets = random.integers(0, 3, 60)
    separated = np.float32(8.0) * np.eye(3, dtype=np.float32)[targets] + random.normal(0, 1, (60, 3)).astype(np.float32)
    temperature, why = calibrate(separated, targets)
    assert temperature is None
    assert why == "All answers to the 60 held-out photos are right, so there is nothing to calibrate with."
    temperature, why = calibrate(separated, (targets + 1) % 3)
    assert temperature is None
    assert "no better than chance" in why
    temperature, why = calibrate(np.float32([[1.0, -2.0]] * 60), np.tile([True, False], (60, 1)), "multi_label")
    assert temperature is None
    assert "are right" in why
    temperature, why = calibrate(separated[:49], targets[:49])
    assert temperature is None
    assert why == "49 held-out photos are too few to calibrate with (50 are needed)."


def test_enough_photos_with_some_mistakes_give_the_temperature_and_say_so() -> None:
    logits, targets = np.tile(np.eye(2, dtype=np.float32), (40, 1)), np.tile([0, 1], 40)
    targets[:8] = 1 - targets[:8]
    temperature, why = calibrate(logits, targets)
    # Nine of ten are right where the logits differ by one: log 9 = 1 / T.
    assert temperature == pytest.approx(1 / np.log(9), rel=1e-3)
    assert why == "The temperature of 0.455 was fitted on the 80 held-out photos."


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
@given(
    logits=hnp.arrays(np.int8, (6, 7), elements=st.integers(-12, 12)),
    temperature=st.floats(0.5, 5.0),
)
def test_a_temperature_keeps_the_ranking(task: Task, logits: NDArray[np.int8], temperature: float) -> None:
    values = logits.astype(np.float32)
    warm = probabilities(values, task, temperature)
    for row, ranked in zip(values, warm, strict=True):
        assert (np.diff(ranked[np.argsort(row, kind="stable")]) >= 0).all()
