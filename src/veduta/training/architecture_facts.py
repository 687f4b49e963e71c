"""What one wants to know of the networks before choosing one."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from veduta.training.architectures import ARCHITECTURES, Architecture
from veduta.training.catalogue import PUBLISHED


@dataclass(frozen=True, slots=True)
class ArchitectureFacts:
    """One network: ``parameters`` without the classifier, and the names of published weights that it can start from."""

    architecture: Architecture
    parameters: int
    published: tuple[str, ...]


def architecture_facts() -> tuple[ArchitectureFacts, ...]:
    """Of each network, as for new classes; no weight is made."""
    return tuple(
        ArchitectureFacts(
            each,
            _parameters(each),
            tuple(entry.name for entry in PUBLISHED.values() if entry.architecture == each.family),
        )
        for each in ARCHITECTURES.values()
    )


def _parameters(architecture: Architecture) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in architecture.features().parameters())
