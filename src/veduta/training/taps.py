"""What the layers inside a feature extractor give, read while it runs.

Evidence reads layers that the classifier does not see: the last one is trained to forget what tells no scene apart,
and with it most of what tells a scene from everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Reading:
    """What evidence reads of a network.

    ``layers`` names modules inside the features, as ``nn.Module.get_submodule`` does; the empty name is the features
    themselves. ``enlarge`` says how much larger than the photos that come in are those that these layers see; None is
    what the classifier sees. Another size costs a second pass.
    """

    layers: tuple[str, ...] = ("",)
    enlarge: float | None = None


class EvidenceModule(nn.Module):
    """What gives a bundle its ``evidence``.

    ``forward(pooled, logits)`` takes the layers of its ``reading``, averaged over positions, a list of ``[n, d]``, and
    the logits ``[n, classes]``, and gives ``[n]``, larger for what looks more like the known photos.
    """

    reading: Reading = Reading()


def run_with_taps(features: nn.Module, images: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
    """``features(images)``, and the mean over positions ``[n, d]`` of what each layer inside it gave.

    Raises AttributeError for a layer that is not there.
    """
    with _listening(features, layers) as heard:
        found = features(images)
    return found, [heard[layer].mean((2, 3)) for layer in layers]


@contextmanager
def _listening(features: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    heard: dict[str, Tensor] = {}

    def ear(layer: str) -> object:
        def hear(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            heard[layer] = output

        return features.get_submodule(layer).register_forward_hook(hear)

    hooks = [ear(layer) for layer in layers]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()  # type: ignore[attr-defined]
