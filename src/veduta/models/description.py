"""What ``model.json`` says of a model, as values; reading and writing that file.

The format is told in full in ``docs/bundles.md``. What is read here has the right types and ranges and does not
contradict itself; whether it fits the graph beside it is checked by ``bundle``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from veduta.errors import BundleIncompatible
from veduta.images.preprocess import FILTERS, Fit, Preprocessing
from veduta.models.attribute_table import FILE as ATTRIBUTES
from veduta.models.attribute_table import AttributeSpec, read_spec, spec_values
from veduta.models.generator_spec import GeneratorSpec, read_generator
from veduta.models.generator_spec import spec_values as generator_spec_values
from veduta.models.head_labels import label_values, read_labels
from veduta.models.json_reader import JsonObject, read_object
from veduta.records import Label

FORMAT_VERSION = 1
MAX_SIDE = 4096

Kind = Literal["classifier", "embedding", "generator"]
Task = Literal["single_label", "multi_label"]

#: What a model may be called: it is also a folder's name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

KINDS = ("classifier", "embedding", "generator")
TASKS = ("single_label", "multi_label")


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output ``[n, size]`` of the graph."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class EvidenceSpec:
    """The output ``[n]`` that tells how much a photo looks like what the model knows.

    Below ``threshold`` no label fits, and ``reason`` says so in words for people.
    """

    output: str
    threshold: float
    reason: str = "the photo looks like nothing that the model knows"


@dataclass(frozen=True, slots=True)
class Head:
    """One classifier of the network: its labels in the order of its logits.

    ``logits`` and ``class_maps`` are names of outputs, ``[n, labels]`` and ``[n, labels, h', w']``. Divide the logits
    by ``temperature`` before softmax or sigmoid; None says that nothing was there to calibrate on. ``thresholds``
    maps label ids to the probability from which a label of a multi-label head counts as present.
    """

    name: str
    task: Task
    labels: tuple[Label, ...]
    logits: str = "logits"
    class_maps: str | None = None
    class_maps_mean_is_logits: bool = False
    temperature: float | None = None
    thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured figure: what, how much, on which data, on how many photos, and its 95 % interval where known."""

    name: str
    value: float
    data: str
    count: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """All that ``model.json`` says; ``files`` maps names of files beside it to their SHA-256, in hex."""

    name: str
    kind: Kind
    preprocessing: Preprocessing
    heads: tuple[Head, ...]
    embedding: OutputSpec | None
    evidence: EvidenceSpec | None
    attributes: AttributeSpec | None
    generator: GeneratorSpec | None
    metrics: tuple[Metric, ...]
    architecture: str | None
    license: str | None
    files: dict[str, str]


def read_description(file: Path, data: bytes) -> Description:
    """Read the bytes of a ``model.json``.

    Raises ``BundleCorrupt`` where it is not what the format says, ``BundleIncompatible`` for another format version.
    """
    top = read_object(file, data)
    _check_version(top)
    top.only(
        "format_version", "name", "kind", "input", "heads", "embedding", "evidence", "attributes",
        "generator", "metrics", "architecture", "license", "files",
    )  # fmt: skip
    description = Description(
        name=top.text("name"),
        kind=cast(Kind, top.choice("kind", KINDS)),
        preprocessing=_preprocessing(top.entry("input")),
        heads=tuple(_head(entry) for entry in top.entries("heads", 16)) if top.has("heads") else (),
        embedding=_embedding(top.entry("embedding")) if top.has("embedding") else None,
        evidence=_evidence(top.entry("evidence")) if top.has("evidence") else None,
        attributes=read_spec(top.entry("attributes")) if top.has("attributes") else None,
        generator=read_generator(top.entry("generator")) if top.has("generator") else None,
        metrics=tuple(_metric(entry) for entry in top.entries("metrics", 1000)) if top.has("metrics") else (),
        architecture=top.text("architecture") if top.has("architecture") else None,
        license=top.text("license") if top.has("license") else None,
        files=_files(top.entry("files")),
    )
    _check_whole(top, description)
    return description


def description_text(description: Description) -> str:
    """The text of a ``model.json``: the same description always gives the same bytes."""
    values = {
        "format_version": FORMAT_VERSION,
        "name": description.name,
        "kind": description.kind,
        "input": preprocessing_values(description.preprocessing),
        "heads": [head_values(head) for head in description.heads],
        "embedding": embedding_values(description.embedding),
        "evidence": evidence_values(description.evidence),
        "attributes": spec_values(description.attributes),
        "generator": None if description.generator is None else generator_spec_values(description.generator),
        "metrics": [_metric_values(metric) for metric in description.metrics],
        "architecture": description.architecture,
        "license": description.license,
        "files": description.files,
    }
    return json.dumps(_present(values), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def preprocessing_values(preprocessing: Preprocessing) -> dict[str, Any]:
    """The preprocessing, as JSON values."""
    return {
        "fit": preprocessing.fit,
        "short_side": preprocessing.short_side,
        "sizes": [list(size) for size in preprocessing.sizes],
        "filter": preprocessing.filter,
    }


def head_values(head: Head) -> dict[str, Any]:
    """A head, as JSON values."""
    outputs: dict[str, Any] = {"logits": head.logits}
    if head.class_maps is not None:
        outputs["class_maps"] = head.class_maps
        outputs["class_maps_mean_is_logits"] = head.class_maps_mean_is_logits
    calibration = {"calibrated": False} if head.temperature is None else {"temperature": head.temperature}
    return {
        "name": head.name,
        "task": head.task,
        "outputs": outputs,
        "labels": label_values(head.labels),
        **calibration,
        "thresholds": head.thresholds,
    }


def embedding_values(embedding: OutputSpec | None) -> dict[str, Any] | None:
    """The embedding, as JSON values."""
    return None if embedding is None else {"output": embedding.name, "size": embedding.size}


def evidence_values(evidence: EvidenceSpec | None) -> dict[str, Any] | None:
    """The evidence, as JSON values."""
    if evidence is None:
        return None
    return {"output": evidence.output, "threshold": evidence.threshold, "reason": evidence.reason}


def _metric_values(metric: Metric) -> dict[str, Any]:
    interval = None if metric.interval is None else list(metric.interval)
    return _present(
        {
            "name": metric.name,
            "value": metric.value,
            "data": metric.data,
            "count": metric.count,
            "interval": interval,
        }
    )


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_version(top: JsonObject) -> None:
    version = top.integer("format_version", 1, 2**31)
    if version > FORMAT_VERSION:
        raise BundleIncompatible(
            f"{top.file}: has format version {version}, this Veduta reads version {FORMAT_VERSION}; upgrade Veduta."
        )


def _preprocessing(entry: JsonObject) -> Preprocessing:
    entry.only("fit", "short_side", "sizes", "filter")
    fit = cast(Fit, entry.choice("fit", ("crop", "stretch")))
    sizes = []
    for index, size in enumerate(entry.items("sizes", 16)):
        if not _is_size(size):
            entry.refuse(f"sizes[{index}]", f"must be [height, width], each from 1 to {MAX_SIDE}", size)
        sizes.append((size[0], size[1]))
    if not sizes:
        entry.refuse("sizes", "must name at least one [height, width]")
    short_side = entry.integer("short_side", 0, MAX_SIDE) if entry.has("short_side") else 0
    if fit == "crop" and len(sizes) != 1:
        entry.refuse("sizes", "must name exactly one size where the fit is crop", sizes)
    if fit == "crop" and short_side < max(sizes[0]):
        entry.refuse("short_side", f"must be at least the side of the crop, {max(sizes[0])}", short_side)
    return Preprocessing(
        fit=fit, sizes=tuple(sizes), filter=entry.choice("filter", tuple(FILTERS)), short_side=short_side
    )


def _is_size(size: object) -> bool:
    return (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= MAX_SIDE for side in size)
    )


def _head(entry: JsonObject) -> Head:
    entry.only("name", "task", "outputs", "labels", "temperature", "calibrated", "thresholds")
    outputs = entry.entry("outputs")
    outputs.only("logits", "class_maps", "class_maps_mean_is_logits")
    class_maps = outputs.text("class_maps") if outputs.has("class_maps") else None
    labels = read_labels(entry)
    return Head(
        name=entry.text("name"),
        task=cast(Task, entry.choice("task", TASKS)),
        labels=labels,
        logits=outputs.text("logits"),
        class_maps=class_maps,
        class_maps_mean_is_logits=(
            class_maps is not None
            and outputs.has("class_maps_mean_is_logits")
            and outputs.flag("class_maps_mean_is_logits")
        ),
        temperature=_temperature(entry),
        thresholds=_thresholds(entry, {label.id for label in labels}) if entry.has("thresholds") else {},
    )


def _temperature(entry: JsonObject) -> float | None:
    calibrated = entry.has("temperature")
    if entry.has("calibrated") and entry.flag("calibrated") != calibrated:
        entry.refuse("calibrated", "contradicts the temperature: give a temperature, or calibrated: false")
    if not calibrated and not entry.has("calibrated"):
        entry.refuse("temperature", "is missing; where nothing was there to calibrate on, say calibrated: false")
    return entry.number("temperature", 1e-6, 1e6) if calibrated else None


def _thresholds(entry: JsonObject, ids: set[str]) -> dict[str, float]:
    thresholds = entry.entry("thresholds")
    for key in thresholds.values:
        if key not in ids:
            thresholds.refuse(key, "must be the id of a label of this head")
    return {key: thresholds.number(key, 0.0, 1.0) for key in thresholds.values}


def _embedding(entry: JsonObject) -> OutputSpec:
    entry.only("output", "size")
    return OutputSpec(entry.text("output"), entry.integer("size", 1, 1_000_000))


def _evidence(entry: JsonObject) -> EvidenceSpec:
    entry.only("output", "threshold", "reason")
    output, threshold = entry.text("output"), entry.number("threshold")
    if not entry.has("reason"):
        return EvidenceSpec(output, threshold)
    return EvidenceSpec(output, threshold, entry.text("reason"))


def _metric(entry: JsonObject) -> Metric:
    entry.only("name", "value", "data", "count", "interval")
    interval = None
    if entry.has("interval"):
        ends = entry.numbers("interval", 2)
        interval = (ends[0], ends[1])
    return Metric(
        entry.text("name"), entry.number("value"), entry.text("data"), entry.integer("count", 0, 2**53), interval
    )


def _files(entry: JsonObject) -> dict[str, str]:
    entry.only("model.onnx", "weights.safetensors", ATTRIBUTES)
    files = {}
    for name in entry.values:
        digest = entry.text(name)
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            entry.refuse(name, "must be a SHA-256 of 64 hexadecimal digits", digest)
        files[name] = digest
    if "model.onnx" not in files:
        entry.refuse("model.onnx", "is missing")
    return files


def _tells_scenes(description: Description) -> bool:
    return bool(description.heads) and description.heads[0].task == "single_label"


def _check_whole(top: JsonObject, description: Description) -> None:
    if description.kind == "classifier" and not description.heads:
        top.refuse("heads", "must name at least one head where the kind is classifier")
    if description.kind == "embedding" and description.embedding is None:
        top.refuse("embedding", "is missing, and the kind is embedding")
    if (description.kind == "generator") != (description.generator is not None):
        top.refuse("generator", "must be there where the kind is generator, and only there")
    if (description.attributes is None) != (ATTRIBUTES not in description.files):
        top.refuse("attributes", f"and the file {ATTRIBUTES} must be there together, or neither")
    if description.attributes is not None and not _tells_scenes(description):
        top.refuse("attributes", "needs a first head of the task single_label, whose classes have the frequencies")
    if description.attributes is not None and "photo" in description.attributes.sources and not description.embedding:
        top.refuse("attributes", "has attributes with the source photo, which need an embedding")
    if not NAME.fullmatch(description.name):
        top.refuse("name", "must be of letters, digits, '.', '_' and '-', 64 at most", description.name)
    names = [head.name for head in description.heads]
    if len(set(names)) < len(names):
        top.refuse("heads", "must have a name of their own each", names)
