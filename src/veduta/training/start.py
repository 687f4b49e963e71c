"""Where a training starts: which network, and whose weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from veduta.errors import BundleNotFound, UsageError
from veduta.models.bundle import Bundle
from veduta.models.store import find
from veduta.training.architectures import find_architecture, same_family
from veduta.training.catalogue import Published, published
from veduta.training.checkpoints import HUB, Origin, load_weights
from veduta.training.downloads import cache
from veduta.training.execution import Execution, first_alone, share_of_this_process
from veduta.training.networks import SceneNetwork, build
from veduta.training.pull import fetch_weights

_ARCHITECTURE = "mobilenet_v2"


def architecture_for(asked: str | None, weights: Path | str | None) -> str:
    """The network to train: the one that was asked for, else that of the weights, else MobileNetV2.

    Nothing is downloaded. Raises TrainingError for one that is not known, UsageError where published weights are of
    another or are not known, and what ``Bundle.load`` raises.
    """
    if asked is not None:
        find_architecture(asked)
    if str(weights).startswith(f"{HUB}:"):
        entry = _published(str(weights), _ARCHITECTURE)
        if asked is not None and not same_family(asked, entry.architecture):
            raise UsageError(
                f"{weights} has the weights of a {entry.architecture}, and the network to train is a {asked}; name one "
                "for both, or leave the architecture out."
            )
        return asked or entry.architecture
    if asked is None and weights is not None:
        with suppress(BundleNotFound):
            return Bundle.load(find(weights)).architecture or _ARCHITECTURE
    return asked or _ARCHITECTURE


def start_network(
    architecture: str,
    classes: int,
    weights: Path | str | None,
    seed: int,
    execution: Execution,
    note: Callable[[str], None],
) -> tuple[SceneNetwork, Origin | None]:
    """The network with its start weights and a fresh classifier, drawn from ``seed``; where they came from.

    Of several processes one downloads. Raises what ``load_weights`` raises.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture, classes)
    text = str(weights)
    if text == HUB or text.startswith(f"{HUB}:"):
        entry = _published(text, architecture)
        if not (cache() / entry.file_name).is_file():
            note(f"downloading {entry.file_name} ({entry.megabytes} MB)")
        first_alone(execution, share_of_this_process(), lambda: fetch_weights(entry.name))
    return network, load_weights(network, weights)


def _published(source: str, architecture: str) -> Published:
    """The entry of the catalogue that ``hub`` or ``hub:NAME`` means."""
    return published(source.removeprefix(HUB).removeprefix(":") or f"imagenet-{find_architecture(architecture).family}")
