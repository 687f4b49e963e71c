from __future__ import annotations

import numpy as np
import pytest

from veduta.evaluation.calibration import fit_temperature
from veduta.evaluation.metrics import expected_calibration_error
from veduta.recognition.scoring import probabilities

pytest.importorskip("scipy", reason="fitting needs the extra train")


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found_again(true_temperature: float) -> None:
    random = np.random.default_rng(7)
    logits = random.normal(0, 3, (20_000, 5)).astype(np.float32)
    chances = probabilities(logits, "single_label", true_temperature)
    targets = (chances.cumsum(1) > random.random((len(logits), 1))).argmax(1)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(true_temperature, rel=0.05)
    assert expected_calibration_error(probabilities(logits, "single_label", found), targets) < 0.02
