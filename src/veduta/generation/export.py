"""A trained generator leaves as a bundle: one ONNX graph that needs no torch, checked against torch on pictures."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from veduta.errors import TrainingError
from veduta.generation.latents import fixed_latents
from veduta.generation.photos import seen_as
from veduta.generation.presets import Preset
from veduta.models.bundle import Bundle, GeneratorSpec, write_bundle
from veduta.models.generator_session import GeneratorSession
from veduta.models.generator_spec import CLASSES, LATENTS, PICTURES
from veduta.records import Label
from veduta.training.export import graph_bytes, round_to_half
from veduta.whole_file import write_whole

#: What a pixel of the graph's pictures may differ from torch's by, of 255, at the most and on average.
MOST_OFF, MEAN_OFF = 3, 0.05
_PARITY_PICTURES = 32


class PictureGraph(nn.Module):
    """What is exported: from latent numbers and classes to uint8 ``[n, side, side, 3]``."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return to_pixels(self.generator(latents, classes))


def to_pixels(made: Tensor) -> Tensor:
    """Float ``[n, 1 or 3, h, w]`` from -1 to 1 as uint8 ``[n, h, w, 3]``."""
    pixels = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return pixels if pixels.shape[3] == 3 else pixels.expand(-1, -1, -1, 3).contiguous()


def write_generator(
    out: Path,
    generator: nn.Module,
    preset: Preset,
    labels: tuple[str, ...],
    *,
    name: str,
    card: str,
    learnt: Sequence[str] = (),
) -> Bundle:
    """Write a bundle of kind generator to ``out``, in place of one that is there; ``generator`` stays as it is.

    ``learnt`` names the photos that it learnt from by their contents, see ``GeneratorSpec``.
    Raises TrainingError where graph and torch disagree, OutputError.
    """
    graph = PictureGraph(round_to_half(copy.deepcopy(generator).cpu())).eval()
    latents = torch.from_numpy(fixed_latents(preset.latent, _PARITY_PICTURES, seed=1))
    classes = torch.eye(len(labels))[torch.arange(_PARITY_PICTURES) % len(labels)]
    rows = torch.export.Dim("n")
    content = graph_bytes(
        graph,
        (latents[:2], classes[:2]),
        inputs=[LATENTS, CLASSES],
        outputs=[PICTURES],
        dynamic_shapes=({0: rows}, {0: rows}),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, content, sync=False)
        check_parity(graph, path, latents, classes)
    named = tuple(Label(label, label.replace("_", " ")) for label in labels)
    spec = GeneratorSpec(preset.latent, preset.side, named, preset.grayscale, tuple(sorted(set(learnt))))
    return write_bundle(
        out,
        name=name,
        kind="generator",
        graph=content,
        preprocessing=seen_as(preset.side),
        heads=[],
        card=card,
        generator=spec,
        architecture=preset.network,
        replace=True,
    )


def check_parity(graph: PictureGraph, path: Path, latents: Tensor, classes: Tensor) -> tuple[int, float]:
    """How far a pixel of the graph's pictures is from torch's, at most and on average, of 255.

    Raises TrainingError where that is too far.
    """
    with torch.inference_mode():
        expected = graph(latents, classes).numpy().astype(np.int16)
    found = GeneratorSession(path, expected.shape[1]).run(latents.numpy(), classes.numpy()).astype(np.int16)
    difference = np.abs(found - expected)
    most, mean = int(difference.max()), float(difference.mean())
    if most > MOST_OFF or not mean <= MEAN_OFF:
        raise TrainingError(
            f"the exported graph's pictures differ from torch's by up to {most} of 255, by {mean:.3f} on average; "
            f"expected at most {MOST_OFF} and {MEAN_OFF}. Nothing was exported."
        )
    return most, mean
