"""The recipe of the bundled model, on a few photos: every stage after the other, and what may not happen to it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import UsageError
from veduta.recognition.tagger import load
from veduta.training.evidence import fit_evidence
from veduta.training.export import round_to_half
from veduta.training.places100 import stages
from veduta.training.places100.candidate import make_candidate, write_candidate
from veduta.training.places100.card import describe
from veduta.training.places100.measure import measure
from veduta.training.places100.photos import HOLD_OUT_LIST, class_folders, read_training
from veduta.training.places100.stages import STAGES

FEW = {"places100/val": 2, "sun27": 2, "cat_dog": 4}


def test_the_held_out_photos_are_those_of_the_list_and_none_is_trained_on(shared_data: Path) -> None:
    training, held_out = read_training(shared_data)
    assert (len(training), len(held_out)) == (28_500, 1_500)
    assert not set(training.chosen) & set(held_out.chosen)
    assert np.bincount(held_out.labels.astype(int)).tolist() == [15] * 100
    assert len(set(HOLD_OUT_LIST.read_text(encoding="utf-8").split())) == 1_500


def test_a_folder_without_the_table_of_classes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"places100\.csv is not there"):
        class_folders(tmp_path)


@pytest.mark.slow
def test_a_few_photos_go_the_whole_way_to_a_measured_bundle(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [
        replace(stage, schedule=replace(stage.schedule, epochs=1, batch_size=20, warm_up_steps=2)) for stage in STAGES
    ]
    monkeypatch.setattr(stages, "STAGES", quick)
    training, held_out = read_training(shared_data)
    training = training.subset(np.arange(0, len(training), 95))
    held_out = held_out.subset(np.arange(0, len(held_out), 3))
    weights = shared_data.parent / "weights" / "mobilenet_v2_imagenet.safetensors"
    network = stages.train_network(training, held_out, weights, tmp_path / "run", stages.Progress(), 1)
    round_to_half(network)
    candidate = make_candidate(network, fit_evidence(network, training, held_out), held_out)
    bundle = write_candidate(candidate, tmp_path / "candidate")
    assert sum(file.stat().st_size for file in bundle.path.iterdir()) <= 16e6
    assert load(bundle.path).predict(shared_data / "samples_cc0" / "bakery.jpg").evidence is not None

    measured = measure(bundle.path, _few(shared_data, tmp_path / "data"), lambda _words: None)
    card = describe(candidate, measured, quick, 12_000_000, "calibration.png")
    # Chance is one in a hundred; three hundred photos and one epoch must bring far more.
    assert measured.val.judgement.metrics[0].value > 0.1
    assert [size.size for size in measured.sizes] == ["96 × 96", "128 × 128", "160 × 160"]
    for heading in ("Figures", "How far to believe", "What it confuses", "On sun27", "does not know", "What was tried"):
        assert heading in card


def _few(data: Path, target: Path) -> Path:
    """A data folder with a few photos of each kind."""
    for name, count in FEW.items():
        for folder in (each for each in (data / name).iterdir() if each.is_dir()):
            (target / name / folder.name).mkdir(parents=True)
            for photo in sorted(folder.iterdir())[:count]:
                shutil.copy(photo, target / name / folder.name)
    (target / "distractors").mkdir()
    for photo in sorted(each for each in (data / "distractors").rglob("*") if each.is_file())[:8]:
        shutil.copy(photo, target / "distractors")
    return target
