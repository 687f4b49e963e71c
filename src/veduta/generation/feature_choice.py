"""Which embedding generated pictures are measured by, as it is asked for on the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from veduta.errors import UsageError
from veduta.generation.features import FeatureNetwork
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.training.architectures import find_architecture
from veduta.training.backbone import write_backbone


def chosen_features(asked: str | None, note: Callable[[str], None] = lambda _words: None) -> FeatureNetwork:
    """``NETWORK=WEIGHTS`` is a network with the weights of a file or of ``hub``, else it is a model; None is ours.

    Inception-v3 with published weights is the network of the published FIDs, but not their very weights and resizing:
    figures are compared with others of this program alone.
    Raises UsageError, BundleError, and what ``load_weights`` raises.
    """
    network, named, weights = (asked or DEFAULT_MODEL).partition("=")
    if not named:
        return FeatureNetwork.load(network)
    if not weights:
        raise UsageError(f"--features {asked}: name the weights of {network} behind =, a file or hub.")
    chosen = find_architecture(network)
    with tempfile.TemporaryDirectory() as folder:
        features = FeatureNetwork(write_backbone(chosen.name, weights, chosen.side, Path(folder) / "f", on_stage=note))
        features.prepare()
    return features
