"""Which embedding pictures are measured by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from veduta.errors import UsageError, VedutaError
from veduta.generation.feature_choice import chosen_features
from veduta.generation.features import FeatureNetwork
from veduta.models.bundle import Bundle


def test_the_bundled_model_measures_unless_another_is_named() -> None:
    features = chosen_features(None)
    assert features.name.startswith("places100, 128 by 128 pixels (")
    pictures = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3)).astype(np.uint8)
    found = features(pictures)
    assert found.shape == (3, features.bundle.embedding.size)  # type: ignore[union-attr]
    assert np.array_equal(found[1:2], features(pictures[1:2]))


def test_a_network_with_weights_of_a_file_measures(shared_weights: Path) -> None:
    features = chosen_features(f"mobilenet_v2={shared_weights / 'mobilenet_v2_imagenet.safetensors'}")
    assert features.name.startswith("mobilenet_v2-224, 224 by 224 pixels (")
    assert features(np.zeros((1, 40, 40, 3), np.uint8)).shape == (1, 1280)  # its file is gone by now


@pytest.mark.parametrize("asked", ["mobilenet_v2=", "no_such_network=hub", "no-such-model"])
def test_what_is_no_embedding_is_refused(asked: str) -> None:
    with pytest.raises(VedutaError):
        chosen_features(asked)


def test_a_model_without_an_embedding_cannot_measure(generator: Path) -> None:
    with pytest.raises(UsageError, match="gives no embedding to measure pictures by"):
        FeatureNetwork(Bundle.load(generator))
