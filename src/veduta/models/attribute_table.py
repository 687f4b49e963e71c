"""What a bundle knows of attributes: how often photos of each class have them, and how the embedding tells them.

The numbers lie in ``attributes.f16``, float16, little-endian, ``[attributes, classes + d + 1]`` by rows: for each
attribute its frequency in each class, then what each of the d numbers of the embedding adds, then a constant.
``model.json`` names the attributes and how the two answers become one probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleCorrupt
from veduta.models.json_reader import JsonObject
from veduta.records import AttributeSource, Label

FILE = "attributes.f16"
MAX_BYTES = 64 * 2**20
MAX_ATTRIBUTES = 10_000
SOURCES: tuple[AttributeSource, ...] = ("photo", "scene")


@dataclass(frozen=True, slots=True)
class Scaling:
    """From an answer in [0, 1] to a probability: sigmoid of ``slope`` times its logit and ``offset`` (Platt 1999)."""

    slope: float
    offset: float


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """What ``model.json`` says of attributes.

    An attribute with the source ``scene`` is told by the frequencies alone, one with ``photo`` by the embedding as
    well, whose answer weighs ``photo_share`` of the two. Each source has its ``scaling``.
    """

    labels: tuple[Label, ...]
    sources: tuple[AttributeSource, ...]
    photo_share: float
    scaling: dict[AttributeSource, Scaling]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeTable:
    """The numbers behind a spec.

    ``frequencies`` float32 ``[attributes, classes]`` are in [0, 1], and NaN for a class of which nothing is known;
    ``weight`` ``[attributes, d]`` and ``constant`` ``[attributes]`` give the photo's own answer, embedding @ weight.T +
    constant. d is 0 where the bundle has no embedding.
    """

    spec: AttributeSpec
    frequencies: NDArray[np.float32]
    weight: NDArray[np.float32]
    constant: NDArray[np.float32]


def table_bytes(table: AttributeTable) -> bytes:
    """The content of ``attributes.f16``."""
    joined = np.concatenate([table.frequencies, table.weight, table.constant[:, None]], axis=1)
    return joined.astype("<f2").tobytes()


def read_table(path: Path, data: bytes, spec: AttributeSpec, classes: int, size: int) -> AttributeTable:
    """Read an ``attributes.f16`` for so many classes and an embedding of ``size`` numbers.

    Raises ``BundleCorrupt`` where it has another size, or holds anything but frequencies and finite numbers.
    """
    shape = (len(spec.labels), classes + size + 1)
    if len(data) != 2 * shape[0] * shape[1]:
        raise BundleCorrupt(
            f"{path}: has {len(data)} bytes, expected {2 * shape[0] * shape[1]}: float16 for {shape[0]} attributes, of "
            f"each {classes} classes, {size} numbers of the embedding and a constant; get the model again."
        )
    values = np.frombuffer(data, "<f2").reshape(shape).astype(np.float32)
    frequencies, rest = values[:, :classes], values[:, classes:]
    unknown = np.isnan(frequencies)
    if (
        not (unknown | ((frequencies >= 0) & (frequencies <= 1))).all()
        or (unknown.any(axis=0) != unknown.all(axis=0)).any()
    ):
        raise BundleCorrupt(
            f"{path}: a frequency must be from 0 to 1, or no number for all attributes of a class; get the model again."
        )
    if not np.isfinite(rest).all():
        raise BundleCorrupt(f"{path}: what the embedding adds must be finite numbers; get the model again.")
    return AttributeTable(spec, frequencies, rest[:, :-1], rest[:, -1])


def spec_values(spec: AttributeSpec | None) -> dict[str, Any] | None:
    """A spec, as JSON values."""
    if spec is None:
        return None
    return {
        "labels": [
            {"id": label.id, "name": label.name, "source": source}
            for label, source in zip(spec.labels, spec.sources, strict=True)
        ],
        "photo_share": spec.photo_share,
        "scaling": {
            source: {"slope": scaling.slope, "offset": scaling.offset} for source, scaling in spec.scaling.items()
        },
    }


def read_spec(entry: JsonObject) -> AttributeSpec:
    """Read the entry ``attributes`` of a ``model.json``. Raises ``BundleCorrupt``, naming the key."""
    entry.only("labels", "photo_share", "scaling")
    labels: list[Label] = []
    sources: list[AttributeSource] = []
    for each in entry.entries("labels", MAX_ATTRIBUTES):
        each.only("id", "name", "source")
        labels.append(Label(each.text("id"), each.text("name")))
        sources.append(cast(AttributeSource, each.choice("source", SOURCES)))
    ids = [label.id for label in labels]
    if not ids or len(set(ids)) < len(ids):
        entry.refuse("labels", "must name at least one attribute, and each once")
    scaling = entry.entry("scaling")
    scaling.only(*SOURCES)
    return AttributeSpec(
        tuple(labels),
        tuple(sources),
        entry.number("photo_share", 0.0, 1.0),
        {source: _scaling(scaling.entry(source)) for source in SOURCES if source in sources},
    )


def _scaling(entry: JsonObject) -> Scaling:
    entry.only("slope", "offset")
    # Of no positive slope, a more frequent attribute would be the less probable.
    return Scaling(entry.number("slope", 1e-3, 1e3), entry.number("offset", -1e3, 1e3))
