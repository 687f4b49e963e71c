"""A generator's training under way: its parts, where it is, and the checkpoint that it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel

from veduta.errors import TrainingDiverged, TrainingError
from veduta.generation.discriminator import Discriminator
from veduta.generation.photos import Photos
from veduta.generation.presets import Preset
from veduta.training.run_folder import CHECKPOINT, VERSION, Fact, RunFolder

#: What a checkpoint says that it is of.
KIND = "generator"


@dataclass(slots=True)
class Tally:
    """Sums since the last look, and over how many steps."""

    steps: int = 0
    generator_loss: float = 0.0
    discriminator_loss: float = 0.0
    real_right: float = 0.0
    made_right: float = 0.0

    def mean(self, name: str) -> float:
        """Of one of the sums."""
        return float(getattr(self, name)) / max(1, self.steps)


@dataclass(slots=True)
class UnderWay:
    """A training under way: its parts, and where it is.

    ``probability`` is that of each change of a picture before it is judged; ``seconds`` is the time of the steps, over
    all processes.
    """

    preset: Preset
    photos: Photos
    fabric: Fabric
    precision: str
    begun_with: dict[str, Fact]
    generator: nn.Module
    discriminator: Discriminator
    # The same as Fabric wraps them: in the chosen arithmetic.
    making: Any
    judging: Any
    generator_optimizer: Any
    discriminator_optimizer: Any
    averaged: AveragedModel
    probability: float
    step: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kept(self) -> nn.Module:
        """The generator of averaged weights, which is what is looked at and left."""
        return self.averaged.module

    @property
    def epoch(self) -> float:
        """How often each photo was seen, on average."""
        return self.step * self.preset.batch_size / len(self.photos.training)

    @property
    def _parts(self) -> dict[str, Any]:
        """What a checkpoint keeps the state of."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "averaged": self.averaged,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def states(self) -> dict[str, Any]:
        """Of all parts, by name."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_states(self, saved: Mapping[str, Any]) -> None:
        """Put back what ``states`` gave."""
        for name, part in self._parts.items():
            part.load_state_dict(saved[name])


def save(going: UnderWay, folder: RunFolder) -> None:
    """Write the checkpoint, right after a look: nothing is tallied then.

    Raises TrainingDiverged where a weight is no number any more; the checkpoint before then stays.
    """
    for network in (going.generator, going.discriminator):
        if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
            raise TrainingDiverged(f"a weight is no number any more at step {going.step}")
    state = {
        "version": VERSION,
        "kind": KIND,
        "schedule": asdict(going.preset),
        "begun_with": going.begun_with,
        "precision": going.precision,
        **going.states(),
        "probability": going.probability,
        "step": going.step,
        "seconds": going.seconds,
        "history": going.history,
    }
    folder.save(CHECKPOINT, state)


def load_checkpoint(folder: RunFolder, preset: Preset, features: str) -> dict[str, Any] | None:
    """What the run has to go on from, None where it is new.

    Raises TrainingError where it is damaged, was begun with another preset, is measured by other ``features``, or
    trains something else.
    """
    if not folder.has(CHECKPOINT):
        return None
    saved = folder.load(CHECKPOINT)
    folder.check_kind(saved, KIND)
    lacking = {"schedule", "begun_with", "precision", "probability", "step", "seconds", "history"} - saved.keys()
    if lacking:
        raise TrainingError(f"the checkpoint in {folder.path} lacks its {sorted(lacking)[0]}; name another folder.")
    before = saved["schedule"].get("network")
    if before != preset.network:
        # Told first: everything else differs with it.
        raise TrainingError(
            f"the run in {folder.path} was begun with the network {before}, not {preset.network}; give the same to go "
            "on (--preset), or another folder to begin anew."
        )
    folder.check_same_run(saved, asdict(preset), {"features": features})
    return saved


def restore(going: UnderWay, saved: Mapping[str, Any], folder: RunFolder) -> None:
    """Go to where the checkpoint was written. Raises TrainingError where it is of other networks."""
    try:
        going.load_states(saved)
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(
            f"the checkpoint in {folder.path} is of other networks; name another folder for this training."
        ) from error
    going.probability, going.step, going.seconds = saved["probability"], saved["step"], saved["seconds"]
    going.history = list(saved["history"])
