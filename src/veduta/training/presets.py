"""Classic settings by name: what tutorials and papers have used for years, to start from or to compare with."""

from __future__ import annotations

from dataclasses import dataclass

from veduta.errors import UsageError
from veduta.training.options import Options, RecipeName


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings that go together, for these ``recipes``; ``summary`` says them in words."""

    summary: str
    recipes: tuple[RecipeName, ...]
    options: Options


PRESETS: dict[str, Preset] = {
    "momentum": Preset(
        "SGD in batches of 50, momentum 0.9, at 0.1, times 0.97 after each epoch",
        ("scratch",),
        Options(optimizer="sgd", batch_size=50, momentum=0.9, rate=0.1, decay="exponential", epoch_factor=0.97),
    ),
    "adam": Preset(
        "AdamW at a constant 0.0001 for 20 epochs",
        ("finetune", "scratch"),
        Options(optimizer="adamw", rate=1e-4, decay="constant", epochs=20),
    ),
    "head-first": Preset(
        "the classifier for up to 100 epochs, stopped early, then all layers at a constant 0.00001",
        ("finetune",),
        Options(head_epochs=100, optimizer="adamw", rate=1e-5, decay="constant"),
    ),
}


def find_preset(name: str, recipe: RecipeName) -> Preset:
    """The preset of this name. Raises UsageError where there is none, or it does not suit ``recipe``."""
    if name not in PRESETS:
        raise UsageError(f"--preset {name} is unknown; give {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    if recipe not in preset.recipes:
        suiting = [each for each, other in PRESETS.items() if recipe in other.recipes]
        instead = f"; those for it are {' and '.join(suiting)}" if suiting else "; leave it out"
        raise UsageError(f"--preset {name} is for --recipe {' or '.join(preset.recipes)}, not for {recipe}{instead}.")
    return preset
