"""The training loop of a generator, top to bottom: two networks in turn, an average of one, a look now and then.

What a step draws follows from (seed, step) alone, so a checkpoint holds no random state: a killed run goes on to the
same weights, bit for bit on one CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veduta.errors import TrainingDiverged
from veduta.generation.diff_augment import diff_augment, next_probability
from veduta.generation.discriminator import SelfSupervisedDiscriminator
from veduta.generation.losses import discriminator_loss, generator_loss, r1_penalty
from veduta.generation.photos import Photos
from veduta.generation.presets import Preset
from veduta.generation.under_way import UnderWay
from veduta.training.schedules import seed_step

# The penalty is computed at every so many steps, times as many (lazy regularisation, Karras et al. 2020).
_R1_EVERY = 16


def run(
    going: UnderWay,
    *,
    is_over: Callable[[], bool],
    is_look_due: Callable[[], bool],
    look: Callable[[], None],
    on_step: Callable[[], None],
) -> None:
    """Step until ``is_over``; ``look`` where one is due.

    Raises TrainingDiverged where a loss is no number any more: before the weights move.
    """
    while not is_over():
        began = time.perf_counter()
        _step(going)
        going.seconds += time.perf_counter() - began
        on_step()
        if is_look_due():
            look()


def _step(going: UnderWay) -> None:
    """One step of the discriminator and one of the generator, on one batch of photos."""
    preset, device = going.preset, going.fabric.device
    seed_step(preset.seed, going.step, device)  # dropout
    # Another seed than dropout's, for both draw the same numbers from one.
    draws = torch.Generator().manual_seed((preset.seed * 1_000_003 + going.step + 2**32) % 2**63)
    real, classes = (each.to(device) for each in draw_photos(going.photos, preset, draws))
    latents, wanted = (each.to(device) for each in draw_latents(going.photos, preset, draws))
    made = going.making(latents, wanted)
    real_right = _teach_discriminator(going, (real, classes), (made.detach(), wanted), draws)
    _teach_generator(going, made, wanted, draws)
    going.probability = next_probability(going.probability, real_right, preset.change_above, len(real))
    going.averaged.update_parameters(going.generator)
    going.step += 1
    going.tally.steps += 1


def _teach_discriminator(
    going: UnderWay, real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor], draws: torch.Generator
) -> float:
    """To tell ``real`` pictures from ``made`` ones, each given with its class, and to remember what it saw.

    Gives the share of the real ones that it called real.
    """
    preset = going.preset
    going.discriminator.requires_grad_(True)
    seen = diff_augment(real[0], preset.changes, draws, going.probability)
    of_real = going.judging(seen, real[1])
    of_made = going.judging(diff_augment(made[0], preset.changes, draws, going.probability), made[1])
    loss = told = discriminator_loss(preset.loss, of_real.logits, of_made.logits)
    if preset.reconstruction and isinstance(going.discriminator, SelfSupervisedDiscriminator):
        quarter = int(torch.randint(0, 4, (), generator=draws))
        with going.fabric.autocast():
            drawn = going.discriminator.reconstruction_loss(seen, of_real, quarter)
        loss = loss + preset.reconstruction * drawn
    if preset.r1 and going.step % _R1_EVERY == 0:
        loss = loss + preset.r1 / 2 * _R1_EVERY * _penalty(going, seen, real[1])
    _descend(going, "discriminator", loss, going.discriminator_optimizer)
    going.tally.discriminator_loss += float(told.detach())
    real_right = _share(of_real.logits > 0)
    going.tally.real_right += real_right
    going.tally.made_right += _share(of_made.logits < 0)
    return real_right


def _teach_generator(going: UnderWay, made: Tensor, wanted: Tensor, draws: torch.Generator) -> None:
    """To make what the discriminator, as it is now, calls real; ``made`` still knows how it was made."""
    going.discriminator.requires_grad_(False)
    judged = going.judging(diff_augment(made, going.preset.changes, draws, going.probability), wanted)
    loss = generator_loss(going.preset.loss, judged.logits)
    _descend(going, "generator", loss, going.generator_optimizer)
    going.tally.generator_loss += float(loss.detach())


def _descend(going: UnderWay, name: str, loss: Tensor, optimizer: Any) -> None:
    """A step of one network. Raises TrainingDiverged before a loss that is no number reaches its weights."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(f"the {name}'s loss is {value} at step {going.step + 1}")
    optimizer.zero_grad(set_to_none=True)
    going.fabric.backward(loss)
    optimizer.step()


def draw_photos(photos: Photos, preset: Preset, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch: float ``[b, channels, side, side]`` from -1 to 1, every second one mirrored, and classes ``[b, c]``."""
    places = _places(photos, preset, draws)
    pixels = torch.from_numpy(photos.pixels[places]).permute(0, 3, 1, 2).float() / 127.5 - 1
    if preset.flip:
        mirrored = torch.rand((preset.batch_size, 1, 1, 1), generator=draws) < 0.5
        pixels = torch.where(mirrored, pixels.flip(3), pixels)
    return (
        pixels.contiguous(memory_format=torch.channels_last),
        one_hot(torch.from_numpy(photos.targets[places]), len(photos.labels)),
    )


def draw_latents(photos: Photos, preset: Preset, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latent numbers ``[b, latent]`` and classes ``[b, c]``, each as frequent as among the photos.

    Were they not, pictures of a rare class would be told by their class alone.
    """
    latents = torch.randn((preset.batch_size, preset.latent), generator=draws)
    return latents, one_hot(torch.from_numpy(photos.targets[_places(photos, preset, draws)]), len(photos.labels))


def _places(photos: Photos, preset: Preset, draws: torch.Generator) -> NDArray[np.int64]:
    """Those of a batch of photos to train on, ``[b]``, as many of one class in a row as the preset says."""
    training = photos.training
    drawn = torch.randint(0, len(training), (preset.batch_size,), generator=draws)
    places: NDArray[np.int64] = training[drawn.numpy()]
    if preset.alike == 1:
        return places
    # The first of each group says the class, so that a class is as frequent as its photos are.
    for first in range(0, preset.batch_size, preset.alike):
        own = training[photos.targets[training] == photos.targets[places[first]]]
        others = torch.randint(0, len(own), (preset.alike - 1,), generator=draws)
        places[first + 1 : first + preset.alike] = own[others.numpy()]
    return places


def one_hot(targets: Tensor, classes: int) -> Tensor:
    """Float ``[n, c]`` of class numbers ``[n]``."""
    return nn.functional.one_hot(targets, classes).float()


def _penalty(going: UnderWay, pictures: Tensor, classes: Tensor) -> Tensor:
    """In float32: second derivatives are lost in a shorter arithmetic."""
    pictures = pictures.detach().requires_grad_(True)
    return r1_penalty(pictures, going.discriminator(pictures, classes).logits)


def _share(right: Tensor) -> float:
    return float(right.float().mean())
