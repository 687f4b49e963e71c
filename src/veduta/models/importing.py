"""Making a model of an ONNX file from elsewhere and the list of its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleCorrupt, BundleIncompatible, BundleNotFound, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.labels.categories import read_labels_csv
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle, EvidenceSpec, Head, OutputSpec, Task, check_graph, write_bundle
from veduta.models.description import NAME
from veduta.models.onnx_file import MAX_BYTES, OnnxFile, inspect_onnx
from veduta.models.session import Session
from veduta.models.store import available, home
from veduta.records import Label

#: Mean of the class maps against logits, relative to the largest logit: float32 sums over a few hundred positions.
MEAN_TOLERANCE = 1e-3


def import_onnx(
    graph: Path,
    labels: Path | None,
    *,
    name: str,
    preprocessing: Preprocessing,
    task: Task = "single_label",
    temperature: float | None = None,
    evidence_threshold: float | None = None,
    license: str | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Make a model of an ONNX file, in the store.

    The graph takes ``images``, uint8 ``[n, height, width, 3]``, and its outputs tell what they are by their names:
    ``logits`` ``[n, labels]``, ``class_maps`` ``[n, labels, h', w']``, ``embedding`` ``[n, d]``, ``evidence`` ``[n]``.
    ``labels`` is a CSV file with one row for each logit, in order; without it the graph must give an embedding, and the
    model becomes one of that kind. The graph is run on made images; whether its class maps' mean is the logits is
    measured, not believed.

    Raises ``UsageError`` for arguments that can't be meant, ``BundleCorrupt`` for a file that is no ONNX file or keeps
    tensors elsewhere, ``BundleIncompatible`` where graph and labels do not fit, ``OutputError`` where the store can't
    be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"name: {name!r} can't be a model's name; use letters, digits, '.', '_' and '-', 64 at most.")
    if not overwrite and any(model.name == name and model.place == "bundled" for model in available()):
        raise UsageError(f"name: a model {name!r} comes with Veduta; choose another name, or ask to replace it.")
    inspected = _inspect(graph)
    outputs = {each.name for each in inspected.outputs}
    heads: tuple[Head, ...] = () if labels is None else (_head(outputs, read_labels_csv(labels), task, temperature),)
    embedding = _embedding(graph, inspected)
    if evidence_threshold is not None and "evidence" not in outputs:
        raise UsageError(f"{graph}: has no output 'evidence' for the threshold {evidence_threshold:g}; leave it out.")
    evidence = None if evidence_threshold is None else EvidenceSpec("evidence", evidence_threshold)
    if not heads and embedding is None:
        raise UsageError(
            f"{graph}: gives no embedding, and no labels were named for its logits; name its list of labels."
        )
    check_graph(
        graph,
        inspected,
        kind="classifier" if heads else "embedding",
        heads=heads,
        embedding=embedding,
        evidence=evidence,
    )
    heads = tuple(_tried(graph, head, preprocessing) for head in heads)
    return write_bundle(
        home() / name,
        name=name,
        kind="classifier" if heads else "embedding",
        graph=graph,
        preprocessing=preprocessing,
        heads=heads,
        card=_card(name, graph, preprocessing, heads, license),
        embedding=embedding,
        evidence=evidence,
        license=license,
        replace=overwrite,
    )


def class_maps_mean_is_logits(session: Session, logits: str, class_maps: str, sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether the mean of the class maps over their positions is the logits, on made images of these sizes."""
    for size in sizes:
        found = session.run(made_images(size), [logits, class_maps])
        difference = np.abs(found[class_maps].mean(axis=(2, 3)) - found[logits]).max()
        if not difference <= MEAN_TOLERANCE * max(1.0, float(np.abs(found[logits]).max())):
            return False
    return True


def _inspect(graph: Path) -> OnnxFile:
    try:
        # Reading a pipe or a device would never end.
        if graph.exists() and not graph.is_file():
            raise BundleNotFound(f"{graph}: is not a file; name an ONNX file.")
        if graph.stat().st_size > MAX_BYTES:
            raise BundleCorrupt(f"{graph}: has more than {MAX_BYTES} bytes, so it is no ONNX file; name another.")
        data = graph.read_bytes()
    except OSError as error:
        raise BundleNotFound(f"{graph}: can't be read ({error.strerror}); name an ONNX file.") from error
    return inspect_onnx(graph, data)


def _head(outputs: set[str], labels: Sequence[Label], task: Task, temperature: float | None) -> Head:
    return Head(
        name="labels",
        task=task,
        labels=Taxonomy.load(None).apply(labels),
        logits="logits",
        class_maps="class_maps" if "class_maps" in outputs else None,
        temperature=temperature,
    )


def _embedding(graph: Path, inspected: OnnxFile) -> OutputSpec | None:
    for tensor in inspected.outputs:
        if tensor.name == "embedding":
            size = tensor.shape[1] if tensor.shape is not None and len(tensor.shape) == 2 else None
            if not isinstance(size, int):
                raise BundleIncompatible(
                    f"{graph}: the output 'embedding' must have the shape [n, size] with its size fixed; export it so."
                )
            return OutputSpec("embedding", size)
    return None


def _tried(graph: Path, head: Head, preprocessing: Preprocessing) -> Head:
    """Run the graph on made images; says what its class maps are."""
    session = Session(graph)
    height, width = preprocessing.sizes[0]
    found = session.run(made_images((height, width)), [head.logits])[head.logits]
    if found.shape[1:] != (len(head.labels),) or not np.isfinite(found).all():
        raise BundleIncompatible(
            f"{graph}: on made images the output '{head.logits}' has the shape {list(found.shape)} or is not finite, "
            f"expected [n, {len(head.labels)}] finite numbers; check the export."
        )
    if head.class_maps is None:
        return head
    # Heat maps use a larger image, so the mean must hold there as well.
    sizes = [(height, width), (height + height // 2, width + width // 2)]
    mean_is_logits = class_maps_mean_is_logits(session, head.logits, head.class_maps, sizes)
    return replace(head, class_maps_mean_is_logits=mean_is_logits)


def made_images(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Noise, a slope of colours and a grey field, ``[3, height, width, 3]``; always the same."""
    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    slope = np.zeros((height, width, 3), np.uint8)
    slope[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    slope[..., 1] = np.linspace(255, 0, height, dtype=np.uint8)[:, None]
    return np.stack([noise, slope, np.full((height, width, 3), 128, np.uint8)])


def _card(name: str, graph: Path, preprocessing: Preprocessing, heads: Sequence[Head], license: str | None) -> str:
    """What is known of an imported model; who imported it may write more, the card is in no hash."""
    height, width = preprocessing.sizes[0]
    fit = (
        f"short side to {preprocessing.short_side}, the middle {height}×{width} cut out"
        if preprocessing.fit == "crop"
        else f"stretched to {height}×{width}"
    )
    lines = [
        f"# {name}",
        "",
        f"Imported from `{graph.name}`. Veduta did not train this model and has measured nothing on it.",
        "",
        f"- Input: {fit}, {preprocessing.filter}.",
        *(
            f"- Head `{head.name}`: {len(head.labels)} labels, {head.task}, "
            f"{'not calibrated' if head.temperature is None else f'temperature {head.temperature:g}'}."
            for head in heads
        ),
        f"- Licence: {license or 'not told'}.",
        "",
        "Data, metrics and limits: ask the source of the file, and write them here.",
    ]
    return "\n".join(lines) + "\n"
