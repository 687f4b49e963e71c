"""The recipe of ``places100``, the model that comes with the package: train, give evidence, export, measure, describe,
learn attributes.

``veduta recipe places100`` (and ``make places100``) runs it. The photos of ``places100/val`` are its test: they are
read once, after everything is chosen, for the figures in the card.
"""

from __future__ import annotations

from pathlib import Path

import torch

from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle
from veduta.recognition.tagger import load
from veduta.reports.calibration import calibration_picture
from veduta.reports.evaluation import write_evaluation
from veduta.training.evidence import fit_evidence
from veduta.training.export import round_to_half
from veduta.training.places100.attributes import add_attributes
from veduta.training.places100.candidate import NAME, make_candidate, write_candidate
from veduta.training.places100.card import describe
from veduta.training.places100.measure import measure
from veduta.training.places100.photos import read_training
from veduta.training.places100.stages import STAGES, Progress, train_network

#: The calibration as a picture, seen from the folder of the bundle.
PICTURE = "../../../../docs/pictures/places100-calibration.png"


def make(
    data: Path, weights: Path, run: Path, out: Path, *, threads: int = 2, progress: Progress | None = None
) -> Bundle:
    """Train on ``data/places100/train``, measure on everything that it never saw, and write the bundle to ``out``.

    A killed run with the same ``run`` folder goes on from its last checkpoint. ``run`` also gets the calibration as a
    picture and a page of its evaluation, whose photos belong to nobody here and stay out of the bundle.
    Raises TrainingError, UsageError where photos or weights are not as expected, OutputError.
    """
    torch.set_num_threads(threads)
    progress = progress or Progress()
    progress.stage("reading the training photos")
    training, held_out = read_training(data)
    network = train_network(training, held_out, weights, run, progress, threads)
    progress.stage("fitting the evidence")
    round_to_half(network)  # the evidence must know the network as it will be
    candidate = make_candidate(network, fit_evidence(network, training, held_out), held_out)
    bundle = write_candidate(candidate, run / "candidate")
    measured = measure(bundle.path, data, progress.stage)
    calibration_picture(measured.val.judgement.bins, run / "calibration.png", NAME)
    with DecodePool(threads) as pool:
        write_evaluation(run / "evaluation", measured.val, load(bundle.path), pool)
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    card = describe(candidate, measured, STAGES, size, PICTURE)
    metrics = (*measured.val.judgement.metrics, *measured.evidence)
    write_candidate(candidate, out, metrics=metrics, card=card)
    return add_attributes(out, data, note=progress.stage)
