from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import load_weights
from veduta.training.loop import PhotoSet, predict_logits
from veduta.training.networks import build


def test_rebasing_keeps_every_answer_and_makes_training_mode_agree_with_it(shared_weights: Path) -> None:
    network = build("mobilenet_v2", 5, dropout=0.0)
    load_weights(network, shared_weights / "mobilenet_v2_imagenet.safetensors")
    start = {key: value.clone() for key, value in network.features.state_dict().items()}
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
    photos = PhotoSet(pixels, np.zeros(32, np.int64))
    before = predict_logits(network, photos)

    rebase_statistics(network, photos)

    np.testing.assert_allclose(predict_logits(network, photos), before, atol=2e-3)
    changed = {key for key, value in network.features.state_dict().items() if not torch.equal(start[key], value)}
    assert {key for key in start if key.endswith(("running_mean", "running_var"))} <= changed
    network.train()
    with torch.no_grad():
        from veduta.training.networks import Normalise

        in_training = network(Normalise()(torch.from_numpy(pixels))).numpy()
    np.testing.assert_allclose(in_training, before, atol=0.2 * np.abs(before).max())
