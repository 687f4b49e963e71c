"""A model on disk: a folder with ``model.onnx``, ``model.json``, ``README.md`` and maybe ``weights.safetensors`` and
``attributes.f16``.

A bundle has two identities. ``embedding_id`` covers the graph and the preprocessing: an index of embeddings or a
cache of features depends on it. ``bundle_id`` covers that and labels, temperature, thresholds, evidence and attributes:
a stored answer depends on it. Name, metrics, card and weights to train from are in neither.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from veduta.errors import BundleCorrupt, BundleError, BundleIncompatible, BundleNotFound, OutputError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models import attribute_table
from veduta.models.attribute_table import AttributeSpec, AttributeTable
from veduta.models.description import (
    Description,
    EvidenceSpec,
    Head,
    Kind,
    Metric,
    OutputSpec,
    Task,
    description_text,
    embedding_values,
    evidence_values,
    head_values,
    preprocessing_values,
    read_description,
)
from veduta.models.generator_spec import GeneratorSpec, check_generator, generator_values
from veduta.models.onnx_file import MAX_BYTES, OnnxFile, Tensor, inspect_onnx

__all__ = [
    "AttributeSpec",
    "AttributeTable",
    "Bundle",
    "EvidenceSpec",
    "GeneratorSpec",
    "Head",
    "Kind",
    "Metric",
    "OutputSpec",
    "Task",
    "write_bundle",
]

GRAPH, DESCRIPTION, CARD, WEIGHTS = "model.onnx", "model.json", "README.md", "weights.safetensors"
ATTRIBUTES = attribute_table.FILE
INPUT = "images"

_MOST_BYTES = {DESCRIPTION: 64 * 2**20, GRAPH: MAX_BYTES, WEIGHTS: 16 * 2**30, ATTRIBUTES: attribute_table.MAX_BYTES}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model on disk, checked. ``heads`` share one graph; most models have one."""

    path: Path
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
    embedding_id: str
    bundle_id: str
    has_weights: bool

    @classmethod
    def load(cls, folder: Path, verify: bool = True) -> Bundle:
        """Read a bundle and check that it is whole.

        ``verify`` hashes the files and looks into the graph; without it only ``model.json`` is checked.
        Raises ``BundleNotFound`` where no bundle is, ``BundleCorrupt`` where a file is missing, altered or not what it
        says, ``BundleIncompatible`` for another format version, or where labels and graph do not fit each other.
        """
        path = _file(folder, DESCRIPTION)
        description = read_description(path, _read(path))
        files = {name: _file(folder, name) for name in description.files}
        for name in (WEIGHTS, ATTRIBUTES):
            if name not in files and (folder / name).exists():
                raise BundleCorrupt(f"{folder / name}: is not listed in {DESCRIPTION}; export the model anew.")
        if verify:
            graph = _read(files[GRAPH])
            _check_hash(files[GRAPH], hashlib.sha256(graph).hexdigest(), description.files[GRAPH])
            check_graph(
                files[GRAPH],
                inspect_onnx(files[GRAPH], graph),
                kind=description.kind,
                heads=description.heads,
                embedding=description.embedding,
                evidence=description.evidence,
                generator=description.generator,
            )
            if WEIGHTS in files:
                _check_hash(files[WEIGHTS], _sha256(files[WEIGHTS]), description.files[WEIGHTS])
            if ATTRIBUTES in files:
                _check_hash(files[ATTRIBUTES], _sha256(files[ATTRIBUTES]), description.files[ATTRIBUTES])
        embedding_id = _identity(
            {"graph": description.files[GRAPH], "input": preprocessing_values(description.preprocessing)}
        )
        answers = {
            "embedding_id": embedding_id,
            "kind": description.kind,
            "heads": [head_values(head) for head in description.heads],
            "embedding": embedding_values(description.embedding),
            "evidence": evidence_values(description.evidence),
        }
        if description.generator is not None:
            answers["generator"] = generator_values(description.generator)
        if description.attributes is not None:
            spec = attribute_table.spec_values(description.attributes)
            answers["attributes"] = {"spec": spec, "file": description.files[ATTRIBUTES]}
        bundle = cls(
            path=folder,
            name=description.name,
            kind=description.kind,
            preprocessing=description.preprocessing,
            heads=description.heads,
            embedding=description.embedding,
            evidence=description.evidence,
            attributes=description.attributes,
            generator=description.generator,
            metrics=description.metrics,
            architecture=description.architecture,
            license=description.license,
            embedding_id=embedding_id,
            bundle_id=_identity(answers),
            has_weights=WEIGHTS in files,
        )
        if verify:
            bundle.attribute_table()
        return bundle

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.path / GRAPH

    @property
    def weights(self) -> Path | None:
        """The safetensors file that a training can start from, where there is one."""
        return self.path / WEIGHTS if self.has_weights else None

    def attribute_table(self) -> AttributeTable | None:
        """The numbers behind ``attributes``, read and checked; None where the bundle tells no attributes.

        Raises ``BundleCorrupt`` where they do not fit labels and embedding.
        """
        if self.attributes is None:
            return None
        path = self.path / ATTRIBUTES
        size = 0 if self.embedding is None else self.embedding.size
        return attribute_table.read_table(path, _read(path), self.attributes, len(self.heads[0].labels), size)


def write_bundle(
    folder: Path,
    *,
    name: str,
    kind: Kind,
    graph: bytes | Path,
    preprocessing: Preprocessing,
    heads: Sequence[Head],
    card: str,
    embedding: OutputSpec | None = None,
    evidence: EvidenceSpec | None = None,
    attributes: AttributeTable | None = None,
    generator: GeneratorSpec | None = None,
    metrics: Sequence[Metric] = (),
    architecture: str | None = None,
    weights: bytes | Path | None = None,
    license: str | None = None,
    replace: bool = False,
) -> Bundle:
    """Write a bundle to ``folder`` and load it.

    The files are written beside the folder, loaded with every check, and only then renamed: what appears is whole. An
    existing bundle is replaced where ``replace`` says so; a folder that is none is never touched.
    Raises ``UsageError`` for a folder that is taken, ``OutputError`` where writing fails, and what ``Bundle.load``
    raises.
    """
    check_target(folder, replace)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        made.chmod(0o755)  # mkdtemp's 0700 would hide a model in a shared folder
        files = {GRAPH: _put(made / GRAPH, graph)}
        if weights is not None:
            files[WEIGHTS] = _put(made / WEIGHTS, weights)
        if attributes is not None:
            files[ATTRIBUTES] = _put(made / ATTRIBUTES, attribute_table.table_bytes(attributes))
        description = Description(
            name=name,
            kind=kind,
            preprocessing=preprocessing,
            heads=tuple(heads),
            embedding=embedding,
            evidence=evidence,
            attributes=None if attributes is None else attributes.spec,
            generator=generator,
            metrics=tuple(metrics),
            architecture=architecture,
            license=license,
            files=files,
        )
        _put(made / DESCRIPTION, _text_of(folder, description).encode())
        _put(made / CARD, card.encode())
        bundle = _loaded(made, folder)
        move_into_place(made, folder)
    except OSError as error:
        raise _not_written(folder, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return _at(bundle, folder)


def check_graph(
    path: Path,
    graph: OnnxFile,
    *,
    kind: Kind,
    heads: Sequence[Head],
    embedding: OutputSpec | None,
    evidence: EvidenceSpec | None,
    generator: GeneratorSpec | None = None,
) -> None:
    """Check that a graph takes ``images``, or what a generator takes, and gives the outputs named here in their shape.

    Raises ``BundleIncompatible``, naming the output.
    """
    inputs = ", ".join(f"{each.name} {each.type}" for each in graph.inputs) or "none"
    if generator is not None:
        check_generator(path, graph, generator, inputs)
    if kind != "generator" and not (len(graph.inputs) == 1 and _takes_images(graph.inputs[0])):
        raise BundleIncompatible(
            f"{path}: must have one input '{INPUT}', uint8 [n, height, width, 3], and has {inputs}; export it so."
        )
    for head in heads:
        count = len(head.labels)
        what = f"the {count} labels of the head '{head.name}'"
        _check_output(path, graph, head.logits, (None, count), what)
        if head.class_maps is not None:
            _check_output(path, graph, head.class_maps, (None, count, None, None), what)
    if embedding is not None:
        size = embedding.size
        _check_output(path, graph, embedding.name, (None, size), f"the embedding of {size} numbers")
    if evidence is not None:
        _check_output(path, graph, evidence.output, (None,), "the evidence")


def _takes_images(tensor: Tensor) -> bool:
    shape = tensor.shape
    return tensor.name == INPUT and tensor.type == "uint8" and shape is not None and len(shape) == 4 and shape[3] == 3


def _check_output(path: Path, graph: OnnxFile, name: str, shape: tuple[int | None, ...], what: str) -> None:
    """``shape`` has None where any size will do."""
    tensor = next((each for each in graph.outputs if each.name == name), None)
    if tensor is None:
        there = ", ".join(each.name for each in graph.outputs)
        raise BundleIncompatible(f"{path}: lacks the output '{name}', expected for {what}; its outputs are {there}.")
    if tensor.type != "float32":
        raise BundleIncompatible(f"{path}: the output '{name}' must be float32 and is {tensor.type}; export it so.")
    if not tensor.fits(shape):
        raise BundleIncompatible(
            f"{path}: the output '{name}' has the shape {_shape_text(tensor)}, which does not fit {what}; "
            f"name the output and the labels that belong together."
        )


def _shape_text(tensor: Tensor) -> str:
    if tensor.shape is None:
        return "unknown"
    return f"[{', '.join('?' if each is None else str(each) for each in tensor.shape)}]"


def _file(folder: Path, name: str) -> Path:
    """A file of the bundle, present, of a sane size, and really inside the folder."""
    path = folder / name
    if not path.is_file():
        if name == DESCRIPTION:
            raise BundleNotFound(f"{folder}: is no model, there is no {DESCRIPTION} in it; name a folder that has one.")
        raise BundleCorrupt(f"{path}: is missing; get the model again.")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleCorrupt(f"{path}: is a link that leads out of the model's folder; put the file itself there.")
    size, most = path.stat().st_size, _MOST_BYTES[name]
    if not 0 < size <= most:
        raise BundleCorrupt(f"{path}: has {size} bytes, expected 1 to {most}; get the model again.")
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleCorrupt(f"{path}: can't be read ({error.strerror}); check its permissions.") from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleCorrupt(f"{path}: can't be read ({error.strerror}); check its permissions.") from error


def _check_hash(path: Path, actual: str, expected: str) -> None:
    if actual != expected:
        raise BundleCorrupt(
            f"{path}: has been altered, its SHA-256 is {actual[:12]}..., {DESCRIPTION} says {expected[:12]}...; "
            f"get the model again."
        )


def _identity(values: object) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def check_target(folder: Path, replace: bool) -> None:
    """Raise ``UsageError`` where ``write_bundle`` would refuse to write to ``folder``."""
    if not folder.name:
        raise UsageError(f"{folder}: must end in the name of the folder to write the model to.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / DESCRIPTION).is_file():
        raise UsageError(f"{folder}: is there and is no model; name a new folder for it.")
    if not replace:
        raise UsageError(f"{folder}: holds a model already; name another folder, or ask to replace it.")


def _text_of(folder: Path, description: Description) -> str:
    try:
        return description_text(description)
    except ValueError as error:
        raise UsageError(f"{folder}: a figure of the model is not finite ({error}); give a finite one.") from error


def _put(path: Path, content: bytes | Path) -> str:
    """Write a file and return its SHA-256."""
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)
    return _sha256(path)


def move_into_place(made: Path, folder: Path) -> None:
    """Rename a whole model to its place; one that is there steps aside first, and goes when the new one is there."""
    if not folder.exists():
        made.rename(folder)
        return
    # A folder with content can't be renamed over, so the old one steps aside first and comes back if the rename fails.
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    aside.rmdir()
    folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _loaded(made: Path, folder: Path) -> Bundle:
    try:
        return Bundle.load(made)
    except BundleError as error:  # told of the place that people know
        raise type(error)(str(error).replace(str(made), str(folder))) from error


def _not_written(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: the model can't be written ({error.strerror or error}); nothing was changed.")


def _at(bundle: Bundle, folder: Path) -> Bundle:
    return replace(bundle, path=folder)
