"""A trained network becomes a bundle: rounded, given its evidence, calibrated, exported and checked against torch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veduta.evaluation.calibration import fit_temperature
from veduta.labels.categories import places100 as places100_labels
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle, EvidenceSpec, Head, Metric, OutputSpec, write_bundle
from veduta.models.session import Session
from veduta.training.evidence import Evidence, choose_threshold
from veduta.training.export import check_parity, export_graph, export_weights
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.places100.photos import INPUT, SIDE
from veduta.whole_file import write_whole

NAME = "places100"

_PARITY_PHOTOS = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """All of a bundle but its figures and card, and how far its graph's logits were from torch's."""

    network: SceneNetwork
    graph: bytes
    head: Head
    evidence: EvidenceSpec
    parity: float
    parity_photos: int


def make_candidate(network: SceneNetwork, evidence: Evidence, held_out: PhotoSet) -> Candidate:
    """Export a rounded ``network`` with its ``evidence``; temperature and threshold come from the held-out photos.

    Raises TrainingError where the graph disagrees with torch.
    """
    graph = export_graph(network, SIDE, evidence=evidence)
    pixels = held_out.read(0, len(held_out))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        spread = np.linspace(0, len(pixels) - 1, _PARITY_PHOTOS).astype(int)
        parity = check_parity(network, path, pixels[spread], evidence=evidence)
        outputs = Session(path).run(pixels, ["logits", "evidence"])
    head = Head(
        name="scene",
        task="single_label",
        labels=Taxonomy.load(None).apply(places100_labels()),
        class_maps="class_maps",
        class_maps_mean_is_logits=True,
        temperature=fit_temperature(outputs["logits"], held_out.labels.astype(np.int64)),
    )
    threshold = choose_threshold(outputs["evidence"])
    return Candidate(network, graph, head, EvidenceSpec("evidence", threshold), parity, _PARITY_PHOTOS)


def write_candidate(candidate: Candidate, folder: Path, *, metrics: tuple[Metric, ...] = (), card: str = "") -> Bundle:
    """Write the bundle. Raises OutputError and what ``Bundle.load`` raises."""
    network = candidate.network
    return write_bundle(
        folder,
        name=NAME,
        kind="classifier",
        graph=candidate.graph,
        preprocessing=INPUT,
        heads=[candidate.head],
        card=card or f"# {NAME}\n\nA candidate that was not measured.\n",
        embedding=OutputSpec("embedding", network.classifier.in_features),
        evidence=candidate.evidence,
        metrics=metrics,
        architecture=network.architecture,
        weights=export_weights(network),
        license="Apache-2.0",
        replace=True,
    )
