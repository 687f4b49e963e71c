"""The benchmarks run from end to end with a handful of photos; their figures mean nothing then."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_NEEDED = ("torch", "torchvision", "transformers", "psutil")


@pytest.fixture(autouse=True)
def _bench_extra(shared_data: Path, shared_weights: Path) -> None:
    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"the extra bench is not installed: {', '.join(absent)} is absent")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos made by one test serve the next."""
    return tmp_path_factory.mktemp("bench-photos")


def run_bench(name: str, cache: Path, out: Path) -> dict[str, Any]:
    """What ``python -m bench NAME --tiny`` writes as JSON."""
    command = [sys.executable, "-m", "bench", name, "--tiny", "--photos", str(cache), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Must reach" in done.stdout or name == "evidence"
    print(done.stdout)
    return json.loads((out / f"{name}.json").read_text())


def test_the_start_and_the_size_of_an_installation_are_measured(cache: Path, tmp_path: Path) -> None:
    found = run_bench("start", cache, tmp_path)
    assert found["scale"] == "tiny"
    assert found["machine"]["cores"] >= 1
    assert found["figures"]["base install, MB"]["openvino"] > 1
    assert "torch" not in found["figures"]["base install, MB"]


def test_the_memory_of_a_run_is_sampled_while_it_goes_on(cache: Path, tmp_path: Path) -> None:
    found = run_bench("memory", cache, tmp_path)
    assert found["figures"]["rows"] == 60
    assert all(pss > 0 for _, _, pss, _ in found["figures"]["samples"])
    assert not (tmp_path / "load").exists()


@pytest.mark.slow
def test_landmarks_are_trained_and_judged_with_people_and_from_few_photos(cache: Path, tmp_path: Path) -> None:
    found = run_bench("landmarks", cache, tmp_path)["figures"]
    assert {"photos", "with_people"} <= set(found["as shipped"])
    assert set(found["every third landmark kept out"]["enrolled_from"]) == {"1", "3", "5"}
    assert 0 <= found["scrape noise, other landmarks"]["found"] <= 1


@pytest.mark.slow
def test_heat_maps_are_judged_and_timed(cache: Path, tmp_path: Path) -> None:
    found = run_bench("heat-maps", cache, tmp_path)
    assert 0 <= found["figures"]["deletion"]["lowers_more_than_block"] <= 1


@pytest.mark.slow
def test_each_evidence_meets_each_family(cache: Path, tmp_path: Path) -> None:
    for methods in run_bench("evidence", cache, tmp_path)["figures"].values():
        for figures in methods.values():
            assert {"all", "SUN kept", "noise", "portraits", "pictures"} <= figures.keys()
            assert all(0 <= share <= 1 for share in figures.values())


@pytest.mark.slow
def test_each_way_to_sets_of_labels_is_measured(cache: Path, tmp_path: Path) -> None:
    figures = run_bench("label-sets", cache, tmp_path)["figures"]
    assert len(figures) == 7
    assert all(0.5 < each["coverage"] <= 1 and each["mean_size"] > 1 for each in figures.values())


@pytest.mark.slow
def test_attributes_are_judged_beside_the_frequencies_alone(cache: Path, tmp_path: Path) -> None:
    found = run_bench("attributes", cache, tmp_path)
    photos, categories = found["figures"]["held out"]
    assert (photos["by_category"], categories["by_category"]) == (False, True)
    for figures in (photos, categories):
        assert (figures["photos"], figures["attributes"]) == (420, 68)
        assert 0.4 < figures["precision"]["frequencies"] < 0.55
        assert figures["precision"]["gain_interval"][0] < figures["precision"]["gain_interval"][1]
    assert len(found["figures"]["each attribute"]) == 68
    assert len(found["must_reach"]) == 2


@pytest.mark.slow
def test_graph_and_torch_agree_wherever_they_are_compared(cache: Path, tmp_path: Path) -> None:
    figures = run_bench("agreement", cache, tmp_path)["figures"]
    assert all(model["graph against torch"]["same_first_label"] == 1 for model in figures.values())
    assert all(model["graph against torch"]["largest_logit_difference"] <= 1e-3 for model in figures.values())


@pytest.mark.slow
def test_every_side_answers_every_photo(cache: Path, tmp_path: Path) -> None:
    figures = run_bench("throughput", cache, tmp_path)["figures"]
    for sides in figures.values():
        assert {"veduta", "torch", "torch channels-last", "transformers"} == {side["side"] for side in sides}
        for side in sides:
            assert side["parts"]["pipeline"]["photos_per_second"][0] > 0
    made = next(iter(figures.values()))
    assert made[0]["decoded_to"] == [1000, 750]
    assert made[-1]["decoded_to"] == [4000, 3000]


@pytest.mark.slow
def test_a_training_is_timed_beside_a_plain_loop(cache: Path, tmp_path: Path) -> None:
    found = run_bench("training", cache, tmp_path)
    assert set(found["figures"]["photos a second"]) == {"ours", "ours, batch-norm statistics learnt", "plain torch"}


@pytest.mark.slow
def test_models_of_own_classes_are_made_by_both_recipes_and_tested_in_parts(cache: Path, tmp_path: Path) -> None:
    found = run_bench("new-classes", cache, tmp_path)
    assert list(found["figures"]["sun27 right"]) == ["transfer", "finetune"]
    assert all(0 <= value <= 1 for value in found["figures"]["natural mAP"])
    assert len(list((tmp_path / "new-classes").glob("*.npy"))) == 6


@pytest.mark.slow
def test_transfer_is_timed_beside_what_one_writes_by_hand(cache: Path, tmp_path: Path) -> None:
    found = run_bench("transfer", cache, tmp_path)
    assert set(found["figures"]["seconds"]) == {"recipe", "by hand"}


@pytest.mark.slow
def test_generators_are_trained_judged_and_put_to_use(cache: Path, tmp_path: Path) -> None:
    found = run_bench("generation", cache, tmp_path)["figures"]
    assert set(found["compared"]) == {"fastgan", "dcgan"}
    assert len(found["classics"]) == 9
    assert all(0 <= each["precision"] <= 1 for each in found["classics"].values())
    assert min(found["sampling"]) > 1
    # Others than the few that are learnt from, or copies could not be told.
    few = next(tmp_path.rglob("few-fastgan/config.json"))
    assert json.loads(few.read_text())["held_out"] > 0
    assert {"photos_alone", "with_synthetic", "kept"} <= set(found["30 photos a class, transfer"])
