"""Training the last blocks of a network alone: the others keep their weights and statistics, bit for bit.

A block is what a network repeats: a residual block, an inverted residual, a dense layer, a transformer block. What
stands between them (a stem, a transition, a convolution of its own, a fully connected layer) is one too, with the norms
and activations that follow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from torch import nn

from veduta.errors import TrainingError
from veduta.training.networks import SceneNetwork

# What timm calls the parts of a network that hold its blocks.
_HOLDERS = frozenset({"blocks", "stages", "layers"})


def blocks_of(network: SceneNetwork) -> list[list[nn.Module]]:
    """The blocks between the images and the classifier, in their order; each is one module and those that go with it.

    They are read off the way a network is put together, so any network will do whose parts lie in their order.
    """
    parts = [network.features] if network.head is None or network.new_head else [network.features, network.head]
    blocks: list[list[nn.Module]] = []
    leading: list[nn.Module] = []
    for module in chain.from_iterable(_flat(_unwrapped(part)) for part in parts):
        if any(parameter.ndim > 1 for parameter in module.parameters()):
            blocks.append([*leading, module])
            leading = []
        else:  # norms, activations, poolings
            (blocks[-1] if blocks else leading).append(module)
    return blocks


def check_train_last(network: SceneNetwork, last: int | None) -> None:
    """Raises TrainingError where the network has fewer than ``last`` blocks, telling how many it has."""
    count = len(blocks_of(network))
    if last is not None and last > count:
        raise TrainingError(
            f"the last {last} blocks can't be trained, for {network.architecture or 'the network'} has {count}; give 0 "
            f"(the classifier alone) to {count}, or leave it out to train all layers."
        )


def freeze(network: SceneNetwork, last: int | None) -> None:
    """Let only the ``last`` blocks and the classifier learn; None lets all layers.

    What belongs to no block, such as a transformer's embedding of positions, learns with all blocks alone. Raises
    TrainingError where there are not so many blocks.
    """
    check_train_last(network, last)
    blocks = blocks_of(network)
    every = last is None or last == len(blocks)
    network.requires_grad_(every)
    network.classifier.requires_grad_(True)
    if network.head is not None and network.new_head:
        network.head.requires_grad_(True)
    if last:
        for module in chain.from_iterable(blocks[-last:]):
            module.requires_grad_(True)


def rest_frozen(network: nn.Module) -> None:
    """Put what does not learn at rest: no batch changes its statistics, no dropout its answer."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _unwrapped(module: nn.Module) -> nn.Module:
    """A network of another library, where a module of ours does no more than to hold it."""
    children = list(module.children())
    return _unwrapped(children[0]) if len(children) == 1 and list(children[0].children()) else module


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    children = list(module.children())
    if not children:
        yield module
    for child in children:
        if _holds_blocks(child):
            yield from _flat(child)
        else:
            yield child


def _holds_blocks(module: nn.Module) -> bool:
    """Plain containers do, and whatever names blocks of its own; a container of a kind of its own is a block."""
    if type(module) in (nn.Sequential, nn.ModuleList) or isinstance(module, nn.ModuleDict):
        return True
    return any(name in _HOLDERS for name, _child in module.named_children())
