from __future__ import annotations

import numpy as np
import pytest

from veduta.evaluation.metrics import expected_calibration_error, top_k_hits, wilson_interval


def test_top_k_counts_the_target_among_the_k_highest() -> None:
    scores = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    targets = np.array([2, 2])
    assert top_k_hits(scores, targets, 1).tolist() == [False, False]
    assert top_k_hits(scores, targets, 2).tolist() == [True, True]


def test_the_interval_of_a_share_holds_it_and_narrows_with_the_count() -> None:
    low, high = wilson_interval(50, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(5000, 10000)[0] > low
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_sure_and_right_has_no_calibration_error_and_sure_and_wrong_has_all() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert expected_calibration_error(sure, np.zeros(4, np.int64)) == pytest.approx(0.0)
    assert expected_calibration_error(sure, np.ones(4, np.int64)) == pytest.approx(1.0)


def test_saying_eighty_percent_and_being_right_in_four_of_five_is_calibrated() -> None:
    said = np.array([[0.8, 0.2]] * 5)
    assert expected_calibration_error(said, np.array([0, 0, 0, 0, 1])) == pytest.approx(0.0, abs=1e-9)
