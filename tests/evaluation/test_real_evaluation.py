"""The bundled model on real photos, from files to a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from veduta.evaluation.evaluate_classes import evaluate_classes
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.options import Options
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import load
from veduta.reports.evaluation import write_evaluation


@pytest.fixture
def few(shared_data: Path, tmp_path: Path) -> Path:
    """Six photos of each of four classes of the test set, and as many of another set as ``wild``."""
    for name, source, folders in (
        ("few", shared_data / "places100" / "val", ("kitchen", "highway", "aquarium", "ski_slope")),
        ("wild", shared_data / "sun27", ("kitchen", "highway", "aquarium", "airport")),
    ):
        for folder in folders:
            (tmp_path / name / folder).mkdir(parents=True)
            for photo in sorted((source / folder).iterdir())[:6]:
                shutil.copy(photo, tmp_path / name / folder)
    return tmp_path


def test_real_photos_become_figures_a_drop_and_a_page_with_heat_maps(few: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")
    tagger = load("places100", threads=1)
    options = Options(wild=few / "wild", meanings=LabelMap({"airport": "airport_terminal"}), precisions=(0.5,))
    with DecodePool(1) as pool:
        found = evaluate_classes(tagger, few / "few", pool, options)
        page = write_evaluation(few / "page", found, tagger, pool)
    assert found.judgement.photos == 24
    assert found.judgement.metrics[0].value > 0.5
    coarse = found.at("coarse")
    assert coarse is not None
    assert (coarse.judgement.photos, len(coarse.judgement.labels)) == (24, 57)
    assert found.promises[0].threshold is not None
    assert found.wild is not None
    assert found.wild.judgement.photos == 24
    assert {drop.on for drop in found.drops} == {"all", "shared"}
    heat = [*(few / "page" / "pictures").glob("*.webp")]
    assert len(heat) == len({*found.mistakes, *found.wild.mistakes}) > 0
    assert page.read_text(encoding="utf-8").count('class="heat"') == len(heat)


@pytest.mark.slow
def test_label_sets_hold_the_true_label_as_often_as_asked_on_photos_of_the_test_set(shared_data: Path) -> None:
    with DecodePool(2) as pool:
        found = evaluate_classes(load("places100"), shared_data / "places100" / "val", pool)
    assert found.sets is not None
    assert 0.935 <= found.sets.coverage <= 0.965
    assert found.sets.mean_size < 12
