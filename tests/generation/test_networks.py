from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from veduta.generation.discriminator import SelfSupervisedDiscriminator, differences, make_discriminator
from veduta.generation.generator import make_generator
from veduta.generation.presets import PRESETS, SIDES, Preset

EVERY = [
    replace(PRESETS[name], side=side, grayscale=grey, filters=4, latent=8)
    for name in SIDES
    for side in SIDES[name]
    for grey in (False, True)
]


def _inputs(preset: Preset, classes: int = 3, count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, preset.latent), torch.eye(classes)[torch.arange(count) % classes]


@pytest.mark.parametrize("preset", EVERY, ids=lambda each: f"{each.network}-{each.side}-{each.channels}")
def test_pictures_have_the_preset_s_size_and_the_discriminator_judges_them(preset: Preset) -> None:
    latents, classes = _inputs(preset)
    made = make_generator(preset, 3)(latents, classes)
    assert made.shape == (4, preset.channels, preset.side, preset.side)
    assert float(made.detach().abs().max()) <= 1
    verdict = make_discriminator(preset, 3)(made, classes)
    assert verdict.logits.shape[0] == 4
    assert torch.isfinite(verdict.logits).all()


@pytest.mark.parametrize("name", SIDES)
def test_the_class_and_the_numbers_both_change_the_picture_and_nothing_else_does(name: str) -> None:
    preset = replace(PRESETS[name], filters=8)
    generator = make_generator(preset, 3)
    for _ in range(40):  # statistics
        generator(*_inputs(preset, count=16))
    generator.eval()
    with torch.no_grad():
        latents, classes = _inputs(preset)
        made = generator(latents, classes)
        assert torch.equal(made, generator(latents, classes))
        assert not torch.allclose(made, generator(latents, classes.roll(1, 0)), atol=1e-3)
        assert not torch.allclose(made, generator(latents.roll(1, 0), classes), atol=1e-3)


@pytest.mark.parametrize("name", SIDES)
def test_a_picture_is_judged_by_its_class(name: str) -> None:
    preset = replace(PRESETS[name], filters=8)
    discriminator = make_discriminator(preset, 3).eval()
    pictures = torch.rand(4, 3, 64, 64) * 2 - 1
    classes = torch.eye(3)[[0, 1, 2, 0]]
    with torch.no_grad():
        judged, otherwise = discriminator(pictures, classes).logits, discriminator(pictures, classes.roll(1, 0)).logits
    assert not torch.allclose(judged, otherwise, atol=1e-6)


def test_spectral_normalisation_keeps_every_layer_s_norm_at_one() -> None:
    discriminator = make_discriminator(replace(PRESETS["dense"], spectral_norm=True, filters=16), 2)
    for _ in range(200):  # the power iteration converges
        discriminator(torch.rand(4, 3, 64, 64), torch.eye(2)[[0, 1, 0, 1]])
    norms = [
        float(torch.linalg.matrix_norm(layer.weight.detach(), 2))
        for layer in discriminator.modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    assert len(norms) == 4
    assert norms == pytest.approx([1.0] * 4, rel=0.05)


@pytest.mark.parametrize("side", SIDES["fastgan"])
def test_the_self_supervised_discriminator_learns_to_draw_what_it_saw(side: int) -> None:
    torch.manual_seed(1)
    discriminator = make_discriminator(replace(PRESETS["fastgan"], side=side, filters=4), 2)
    assert isinstance(discriminator, SelfSupervisedDiscriminator)
    pictures = torch.nn.functional.interpolate(torch.rand(4, 3, 4, 4) * 2 - 1, size=(side, side), mode="bilinear")
    classes = torch.eye(2)[[0, 1, 0, 1]]
    optimizer = torch.optim.Adam(discriminator.parameters(), 2e-3)
    losses = []
    for step in range(60):
        loss = discriminator.reconstruction_loss(pictures, discriminator(pictures, classes), step % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_pictures_of_one_class_that_are_alike_are_told_from_those_that_are_not() -> None:
    torch.manual_seed(2)
    features = torch.randn(8, 32, 4, 4)
    features[4:] = features[4]
    told = differences(features, 4)
    assert told.shape == (8, 8, 4, 4)
    assert torch.equal(told[0], told[3])
    assert told[:4].mean().item() == pytest.approx(features[:4].std(dim=0, correction=0).mean().item(), rel=1e-3)
    assert told[4:].max() < 0.01
    # A group's own members alone count.
    assert torch.equal(differences(features[:4], 4), told[:4])


def test_the_self_supervised_discriminator_judges_a_picture_beside_others_of_its_class() -> None:
    discriminator = make_discriminator(replace(PRESETS["fastgan"], filters=8), 2).eval()
    pictures, classes = torch.rand(8, 3, 64, 64) * 2 - 1, torch.eye(2)[[0] * 4 + [1] * 4]
    copies = pictures.clone()
    copies[1:4] = pictures[0]
    with torch.no_grad():
        judged, beside_copies = discriminator(pictures, classes).logits, discriminator(copies, classes).logits
    assert not torch.allclose(judged[0], beside_copies[0], atol=1e-6)
    assert torch.allclose(judged[4:], beside_copies[4:], atol=1e-6)
