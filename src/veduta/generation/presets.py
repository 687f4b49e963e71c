"""What a generator is trained with, by one name each; no torch.

``dense``, ``dcgan`` and ``fastgan`` are the networks with their usual settings; the others are classic experiments,
each a change of one of these, whose pictures and figures stand in ``docs/generation.md``.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from typing import Literal

from veduta.errors import UsageError

NetworkName = Literal["dense", "dcgan", "fastgan"]
LossName = Literal["hinge", "cross_entropy"]
Change = Literal["colour", "translation", "cutout"]

#: Sides in pixels that a network makes.
SIDES: dict[NetworkName, tuple[int, ...]] = {"dense": (32, 64), "dcgan": (32, 64), "fastgan": (64, 128)}

ALL_CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")


@dataclass(frozen=True, slots=True)
class Preset:
    """All that a training of a generator is decided by, but for its photos and how long it goes on.

    ``side`` is that of the pictures in pixels, ``latent`` how many numbers a picture is made from, ``filters`` the
    width of the convolutions (of the dense layers, for ``dense``) that the others are multiples of. ``changes`` is what
    differentiable augmentation does to real and generated pictures alike: to all of them, or, with ``change_above``, to
    a share that grows while the discriminator calls more than that of the photos real. ``alike`` photos in a row are of
    one class, and so are as many pictures; above 1 the self-supervised discriminator sees how they differ. ``r1`` is
    the weight of the discriminator's squared gradient at real photos, ``reconstruction`` that of its own task, to draw
    a photo from its features; 0 is without. ``average_decay`` is how much of the averaged generator a step keeps.
    ``per_class`` limits the photos of each class, drawn by ``seed``; None takes all.
    """

    network: NetworkName
    side: int = 64
    grayscale: bool = False
    filters: int = 64
    latent: int = 100
    batch_size: int = 32
    loss: LossName = "cross_entropy"
    generator_rate: float = 2e-4
    discriminator_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    changes: tuple[Change, ...] = ()
    change_above: float | None = None
    alike: int = 1
    spectral_norm: bool = False
    r1: float = 0.0
    reconstruction: float = 0.0
    flip: bool = True
    average_decay: float = 0.998
    per_class: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        sides = SIDES[self.network]
        if self.side not in sides:
            raise UsageError(
                f"the network {self.network} makes pictures of {' or '.join(map(str, sides))} pixels, not {self.side}; "
                "give one of these (--size), or another preset."
            )
        if self.filters < 4 or self.filters % 4 or self.filters > 512:
            raise UsageError(f"{self.filters} filters: give a multiple of 4 from 4 to 512.")
        if self.batch_size < 2:
            raise UsageError(f"a batch of {self.batch_size} can't be normalised; give 2 or more.")
        if self.alike < 1 or self.batch_size % self.alike:
            raise UsageError(
                f"a batch of {self.batch_size} has no whole groups of {self.alike}; give a multiple (--batch-size)."
            )
        if not (0 < self.generator_rate <= 1 and 0 < self.discriminator_rate <= 1):
            raise UsageError("a learning rate must be above 0 and at most 1.")
        if not self.r1 >= 0 or math.isinf(self.r1):
            raise UsageError(f"a penalty of {self.r1:g} can't be computed; give 0 or more (--r1).")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed {self.seed} can't be drawn from; give one from 0 to 2^63 - 1 (--seed).")
        if self.change_above is not None and not 0.5 <= self.change_above < 1:
            raise UsageError(
                f"changes where more than {self.change_above:g} of the photos are called real: give 0.5 to 1."
            )
        if self.per_class is not None and self.per_class < 1:
            raise UsageError(f"{self.per_class} photos of each class teach nothing; give 1 or more.")

    @property
    def channels(self) -> int:
        """Of the pictures that the networks see."""
        return 1 if self.grayscale else 3


_DENSE = Preset("dense", filters=256)
# Radford et al. 2016, arXiv:1511.06434, with the class beside the latent numbers.
_DCGAN = Preset("dcgan")
# After Liu et al. 2021, arXiv:2101.04775, with differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738).
_FASTGAN = Preset(
    "fastgan",
    filters=32,
    latent=128,
    batch_size=16,
    # Normalised, the discriminator learns slowly: at the generator's rate it never knew more than 55 % of the pictures,
    # and after as many steps the kernel distance was a quarter larger.
    discriminator_rate=6e-4,
    loss="hinge",
    changes=ALL_CHANGES,
    # A mean sign of 0.6 (Karras et al. 2020, arXiv:2006.06676). Changing every picture from the first step on made the
    # discriminator call 55 % right, and the kernel distance after as many steps was twice as large.
    change_above=0.8,
    # Without, the pictures of each class came to have one layout: 59 % of the photos' diversity within classes.
    alike=4,
    spectral_norm=True,
    reconstruction=1.0,
)

PRESETS: dict[str, Preset] = {
    "dense": _DENSE,
    "dcgan": _DCGAN,
    "fastgan": _FASTGAN,
    "one-photo": replace(_DCGAN, per_class=1),
    "four-photos": replace(_DCGAN, per_class=4),
    "few-filters": replace(_DCGAN, filters=8),
    "monochrome": replace(_DCGAN, grayscale=True),
    "small-set": replace(_DCGAN, per_class=30),
    "augmented": replace(_DCGAN, changes=ALL_CHANGES),
    "small-set-augmented": replace(_DCGAN, per_class=30, changes=ALL_CHANGES),
    "collapse": replace(_DCGAN, per_class=5, generator_rate=2e-3, discriminator_rate=2e-3, flip=False),
}


def find_preset(name: str) -> Preset:
    """The preset of this name. Raises UsageError, offering the nearest names."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 3, 0.5) or list(PRESETS)
        raise UsageError(f"there is no preset {name!r}; near it: {', '.join(near)}.")
    return PRESETS[name]
