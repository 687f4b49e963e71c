from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from veduta.errors import TrainingError
from veduta.generation.export import PictureGraph, check_parity, to_pixels, write_generator
from veduta.generation.generator import make_generator
from veduta.generation.presets import PRESETS, SIDES
from veduta.generation.sampler import Sampler


def test_pixels_are_rounded_and_grey_is_in_three_channels() -> None:
    made = torch.tensor([-1.0, 0.0, 1.0, 1.5]).view(1, 1, 2, 2)
    pixels = to_pixels(made)
    assert pixels.dtype == torch.uint8
    assert pixels[..., 0].flatten().tolist() == [0, 128, 255, 255]
    assert torch.equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("name", SIDES)
def test_every_network_is_exported_with_parity(tmp_path: Path, name: str, grey: bool) -> None:
    preset = replace(PRESETS[name], filters=8, latent=12, grayscale=grey)
    torch.manual_seed(2)
    generator = make_generator(preset, 3)
    for _ in range(30):
        generator(torch.randn(8, 12), torch.eye(3)[torch.randint(0, 3, (8,))])
    weights = {key: value.clone() for key, value in generator.state_dict().items()}
    bundle = write_generator(tmp_path / "b", generator.eval(), preset, ("a", "b/c", "d"), name="g", card="# g\n")
    assert bundle.generator is not None
    assert (bundle.generator.side, bundle.generator.latent, bundle.generator.grayscale) == (64, 12, grey)
    assert [label.id for label in bundle.generator.labels] == ["a", "b/c", "d"]
    assert all(torch.equal(value, weights[key]) for key, value in generator.state_dict().items())
    latents, classes = torch.randn(5, 12), torch.eye(3)[[0, 1, 2, 0, 1]]
    with torch.no_grad():
        expected = to_pixels(generator(latents, classes)).numpy()
    found = Sampler(bundle, 1).make(latents.numpy(), classes.numpy())
    assert np.abs(found.astype(int) - expected).max() <= 3
    assert expected.std() > 0.5
    assert not (tmp_path / "model.onnx").exists()


def test_a_graph_that_makes_other_pictures_is_never_written(tmp_path: Path, generator: Path) -> None:
    from .tiny import PRESET

    other = PictureGraph(make_generator(PRESET, 2)).eval()
    with pytest.raises(TrainingError, match="pictures differ from torch's by up to"):
        check_parity(other, generator / "model.onnx", torch.randn(4, 8) * 3, torch.eye(2)[[0, 1, 0, 1]])
