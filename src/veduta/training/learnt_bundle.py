"""The bundle of a learnt classifier: the old graph with the new classifier, checked, judged and calibrated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.reading import read_pixels
from veduta.errors import TrainingError
from veduta.evaluation.calibration import calibrate
from veduta.evaluation.figures import WORDS, Judgement, judge
from veduta.evaluation.label_figures import judge_labels
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, Metric, OutputSpec, write_bundle
from veduta.models.session import Session
from veduta.recognition.scoring import probabilities
from veduta.training.card import Card, Source, write_card
from veduta.training.dataset import Dataset, bundle_name, head_of
from veduta.training.linear import Learnt, Linear
from veduta.training.new_classifier import with_classifier
from veduta.whole_file import write_whole

# Graph against the classifier that was fitted, relative to the largest logit.
_TOLERANCE = 1e-3
_PARITY_PHOTOS = 200


@dataclass(frozen=True, slots=True)
class Making:
    """What was learnt from: the photos of ``dataset``, seen as ``wanted``, by the embedding of ``backbone``.

    ``left_out`` photos more could not be decoded.
    """

    dataset: Dataset
    backbone: Bundle
    wanted: Preprocessing
    left_out: int


def write_learnt_bundle(
    learnt: Learnt, embeddings: NDArray[np.float32], making: Making, out: Path, note: Callable[[str], None]
) -> Bundle:
    """Write what was learnt from photos and their ``embeddings`` ``[n, d]`` as a model.

    ``note`` is told the accuracy on photos that were held out, and where nothing calibrates the scores.
    Raises TrainingError where the graph does not say what the classifier says, and what ``write_bundle`` raises.
    """
    dataset, backbone = making.dataset, making.backbone
    assert backbone.embedding is not None
    graph = with_classifier(
        backbone.graph.read_bytes(), backbone.embedding.name, learnt.classifier.weight, learnt.classifier.bias
    )
    parity, photos, has_maps = _check_graph(graph, learnt.classifier, embeddings, making)
    truth = learnt.targets.astype(np.int64) if dataset.task == "single_label" else learnt.targets > 0
    temperature, calibration = calibrate(learnt.logits, truth, dataset.task)
    if temperature is None:
        note(f"{calibration} The scores stay uncalibrated: they put the classes in order, and mean no more.")
    head = head_of(dataset, has_maps, temperature)
    metrics, judgement = _judged(learnt, head, dataset)
    first = metrics[0]
    note(f"on photos that were held out in turn: {WORDS[first.name]} {first.value:.1%} of {first.count:,}")
    card = Card(
        name=dataset.name,
        summary=_summary(making),
        metrics=metrics,
        sources=_sources(making),
        making=(*_making(learnt, dataset), calibration),
        limits=(
            "The photos that were held out in turn also chose the strength of the regularisation, so the figures are a "
            "little too good.",
            *(() if temperature is not None else ("The scores are not calibrated.",)),
            "A photo of anything else gets these labels too.",
        ),
        not_for=("Decisions about people.",),
        judgement=judgement,
        parity=parity,
        parity_photos=photos,
        parity_with="the fitted classifier's",
    )
    return write_bundle(
        out,
        name=bundle_name(dataset.name),
        kind="classifier",
        graph=graph,
        preprocessing=making.wanted,
        heads=[head],
        card=write_card(card),
        embedding=OutputSpec("embedding", backbone.embedding.size),
        metrics=metrics,
        license=backbone.license,
        replace=True,
    )


def _check_graph(
    graph: bytes, classifier: Linear, embeddings: NDArray[np.float32], making: Making
) -> tuple[float, int, bool]:
    """How far the graph's logits are from the classifier's at the most, on how many photos; whether it has maps."""
    paths = making.dataset.paths
    count = len(paths)
    spread = np.linspace(0, count - 1, min(_PARITY_PHOTOS, count)).astype(np.int64)
    pixels = read_pixels([paths[place] for place in spread], making.wanted)
    expected = classifier(embeddings[spread])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        session = Session(path)
        maps = ["class_maps"] if "class_maps" in session.outputs else []
        found = session.run(pixels, ["logits", *maps])
    most = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
    for name, values in found.items():
        means = values.mean(axis=(2, 3)) if name in maps else values
        difference = float(np.abs(means - expected).max())
        if not difference <= most:
            raise TrainingError(
                f"the graph's {name} are up to {difference:.2g} off the classifier's answers, expected at most "
                f"{most:.2g}. Nothing was exported."
            )
    return float(np.abs(found["logits"] - expected).max()), len(spread), bool(maps)


def _judged(learnt: Learnt, head: Head, dataset: Dataset) -> tuple[tuple[Metric, ...], Judgement | None]:
    said, data = probabilities(learnt.logits, head.task, head.temperature), f"{dataset.name}, held out in turn"
    if dataset.task == "single_label":
        judgement = judge(head.labels, said, learnt.targets.astype(np.int64), data)
        return judgement.metrics, judgement
    return judge_labels(head.labels, said, learnt.targets > 0, data).metrics, None


def _summary(making: Making) -> str:
    dataset, size = making.dataset, making.wanted.sizes[0]
    told = "which of {} classes a photo is" if dataset.task == "single_label" else "which of {} labels a photo has"
    return (
        f"Tells {told.format(len(dataset.labels))}: a linear classifier behind the embedding of "
        f"{making.backbone.name}, for photos of {size[1]} by {size[0]} pixels."
    )


def _sources(making: Making) -> tuple[Source, ...]:
    dataset, backbone = making.dataset, making.backbone
    used = "learning, and judging in parts that were held out in turn"
    if making.left_out:
        used += f"; {making.left_out:,} more could not be decoded"
    return (
        *dataset.sources(used),
        Source(f"the model {backbone.name}, `{backbone.bundle_id}`", "embedding", backbone.license or "not stated"),
    )


def _making(learnt: Learnt, dataset: Dataset) -> tuple[str, ...]:
    kind = "softmax" if dataset.task == "single_label" else "a sigmoid for each label"
    return (
        f"Logistic regression ({kind}) on the embeddings of {len(dataset.paths):,} photos, each as it is and in "
        f"{learnt.views} changed views, with a regularisation of C = {learnt.strength:g} for each photo.",
    )
