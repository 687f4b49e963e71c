"""What a bundle says of a generator, and whether its graph is one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veduta.errors import BundleIncompatible
from veduta.models.head_labels import label_values, read_labels
from veduta.models.json_reader import JsonObject
from veduta.models.onnx_file import OnnxFile
from veduta.records import Label

#: What the graph takes, and what it gives.
LATENTS, CLASSES, PICTURES = "latents", "classes", "images"

MAX_LATENT, MAX_SIDE, MAX_LABELS, MAX_LEARNT = 65_536, 1024, 10_000, 2_000_000
_CONTENT_NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """A graph that makes pictures: uint8 ``images [n, side, side, 3]``, with three equal channels where ``grayscale``.

    It takes ``latents`` float32 ``[n, latent]``, numbers drawn from a standard normal, and ``classes`` float32
    ``[n, labels]``, rows that sum to 1: a label each, or a mixture of some. The bundle's preprocessing is how the
    photos that it learnt from were seen, so that others can be compared with what it makes. ``learnt`` names these by
    their contents, 16 hexadecimal digits of the BLAKE3 of each file, so that none is taken for one that it never saw.
    """

    latent: int
    side: int
    labels: tuple[Label, ...]
    grayscale: bool = False
    learnt: tuple[str, ...] = ()


def read_generator(entry: JsonObject) -> GeneratorSpec:
    """Read the entry ``generator`` of a ``model.json``. Raises ``BundleCorrupt``, naming the key."""
    entry.only("latent", "side", "grayscale", "labels", "learnt")
    labels = read_labels(entry)
    if len(labels) > MAX_LABELS:
        entry.refuse("labels", f"must be {MAX_LABELS:,} at most for a generator", len(labels))
    learnt = tuple(entry.items("learnt", MAX_LEARNT)) if entry.has("learnt") else ()
    if not all(isinstance(each, str) and _CONTENT_NAME.fullmatch(each) for each in learnt):
        entry.refuse("learnt", "must be names of photos, 16 hexadecimal digits each")
    return GeneratorSpec(
        entry.integer("latent", 1, MAX_LATENT),
        entry.integer("side", 1, MAX_SIDE),
        labels,
        entry.flag("grayscale"),
        learnt,
    )


def spec_values(generator: GeneratorSpec) -> dict[str, Any]:
    """All that a generator's entry says, as JSON values."""
    return {**generator_values(generator), "learnt": list(generator.learnt)}


def generator_values(generator: GeneratorSpec) -> dict[str, Any]:
    """What a generator's pictures depend on, as JSON values."""
    return {
        "latent": generator.latent,
        "side": generator.side,
        "grayscale": generator.grayscale,
        "labels": label_values(generator.labels),
    }


def check_generator(path: Path, graph: OnnxFile, generator: GeneratorSpec, inputs: str) -> None:
    """Check that a graph takes and gives what a generator does; ``inputs`` tells what it takes, in words.

    Raises ``BundleIncompatible``.
    """
    wanted = {LATENTS: (None, generator.latent), CLASSES: (None, len(generator.labels))}
    found = {each.name: each for each in graph.inputs}
    takes = found.keys() == wanted.keys() and all(
        found[name].type == "float32" and found[name].fits(shape) for name, shape in wanted.items()
    )
    if not takes:
        raise BundleIncompatible(
            f"{path}: a generator takes '{LATENTS}', float32 [n, {generator.latent}], and '{CLASSES}', float32 "
            f"[n, {len(generator.labels)}], and this graph has {inputs}; export it so."
        )
    side = generator.side
    made = next((each for each in graph.outputs if each.name == PICTURES), None)
    if made is None or made.type != "uint8" or not made.fits((None, side, side, 3)):
        raise BundleIncompatible(
            f"{path}: a generator gives '{PICTURES}', uint8 [n, {side}, {side}, 3], and this graph does not; export "
            "it so."
        )
