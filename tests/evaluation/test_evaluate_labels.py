from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.evaluate_labels import evaluate_labels
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.options import Options
from veduta.evaluation.values import evaluation_values
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger

Model = Callable[..., Tagger]
Folders = Callable[[str, dict[str, list[str]]], Path]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


@pytest.fixture
def table(colour_folders: Folders) -> Callable[[str], Path]:
    """A table beside six photos, 0 to 2 red, 3 to 5 blue, the last of them broken; made of its text."""
    root = colour_folders("set", {"images": ["red", "red", "red", "blue", "blue", "broken"]})

    def make(text: str) -> Path:
        (root / "labels.csv").write_text(text)
        return root / "labels.csv"

    return make


ROWS = ["0.png,0,1,0,1", "1.png,0,1,0,1", "2.png,1,1,0,0", "3.png,1,0,0,1", "4.png,1,0,0,1", "5.png,1,0,0,1"]


def test_columns_become_figures_and_what_was_wrong_is_named(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool
) -> None:
    told: list[tuple[int, int, int]] = []
    found = evaluate_labels(
        made_model(task="multi_label"),
        table("\n".join(["file,Ocean,kitchen,forest-path,oceans", *ROWS])),
        pool,
        progress=lambda *counts: told.append(counts),
    )
    by_id = {each.label.id: each for each in found.judgement.figures}
    ocean, kitchen = by_id["ocean"], by_id["kitchen"]
    assert (ocean.photos, kitchen.photos) == (3, 3)
    assert (kitchen.average_precision, kitchen.f1) == (1.0, pytest.approx(6 / 8))
    assert (kitchen.told, kitchen.precision, kitchen.recall) == (5, pytest.approx(3 / 5), 1.0)
    assert ocean.average_precision < 1.0
    assert [each.label.id for each in found.judgement.by_average_precision] == ["ocean", "kitchen"]
    assert [label.id for label in found.judgement.never_present] == ["forest_path"]
    assert found.left_out == {"oceans": ("ocean",)}
    assert found.judgement.photos == len(found.paths) == 5
    assert found.places == (0, 2)
    assert [Path(each.path).name for each in found.failures] == ["5.png"]
    assert {promise.threshold for each in found.promises.values() for promise in each} == {None}
    assert told[-1] == (6, 1, 6)
    worst = found.examples[0]
    assert (worst.figure.label.id, worst.place) == ("ocean", 1)
    assert Path(worst.have[0].path).name == "2.png"
    assert [label.id for label in worst.have[0].labels] == ["kitchen", "ocean"]
    assert {Path(each.path).name for each in worst.lack} == {"0.png", "1.png"}
    values = evaluation_values(found)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert [each["label"] for each in values["by_label"]] == ["ocean", "kitchen"]
    assert values["calibrated"] is True
    assert values["not_judged"] == {"oceans": ["ocean"]}


def test_a_manifest_is_judged_on_its_test_photos_and_labels_may_have_other_names(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool
) -> None:
    listing = table(
        "path,labels,split\nimages/0.png,galley,test\nimages/3.png,waves|galley,test\nimages/1.png,,test\n"
        "images/4.png,waves,train\n"
    )
    options = Options(meanings=LabelMap({"galley": "kitchen", "waves": "ocean"}))
    found = evaluate_labels(made_model(task="multi_label"), listing, pool, options)
    assert found.judgement.photos == 3
    assert [(each.label.id, each.photos) for each in found.judgement.figures] == [("kitchen", 2), ("ocean", 1)]
    assert found.judgement.data == "labels, test"


def test_photos_from_elsewhere_show_a_drop_in_the_labels_that_both_sets_have(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool, tmp_path: Path
) -> None:
    listing = table("\n".join(["file,ocean,kitchen,forest-path,fog", *ROWS[:5]]))
    wild = listing.with_name("wild.csv")
    wild.write_text("file,kitchen\n0.png,0\n1.png,1\n3.png,1\n4.png,0\n")
    found = evaluate_labels(made_model(task="multi_label"), listing, pool, Options(wild=wild))
    (drop,) = found.drops
    assert (drop.name, drop.on, drop.here) == ("mean_average_precision", "shared", 1.0)
    assert drop.value > 0.2
    assert drop.interval[0] <= drop.value <= drop.interval[1]
    assert found.wild is not None
    assert evaluation_values(found)["wild"]["data"] == "wild"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,fog\n0.png,1", "no labels of made"),
        ("file,oceans\n0.png,1", r"'oceans' may be 'ocean'"),
        ("file,ocean,Ocean\n0.png,1,1", "two labels that mean 'ocean'"),
        ("file,ocean\n0.png,1\n0.png,0", "twice"),
        ("file,ocean\n0.png,0", "photos without any label"),
        ("file,ocean\n5.png,1", "could be read"),
        ("path,label\nimages/0.png,ocean", "has one for each photo"),
    ],
)
def test_a_set_that_cannot_be_judged_is_refused(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool, text: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        evaluate_labels(made_model(task="multi_label"), table(text), pool)


def test_what_can_not_be_asked_of_many_labels_or_a_missing_extra_is_told_before_any_photo(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pool, "submit", lambda *_photo: pytest.fail("a photo was decoded"))
    listing, model = table("file,ocean\n0.png,1"), made_model(task="multi_label")
    for options in (Options(coarse=True), Options(wider=LabelMap({"ocean": "sea"})), Options(strangers=tmp_path)):
        with pytest.raises(UsageError, match="several labels at once"):
            evaluate_labels(model, listing, pool, options)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"veduta\[evaluate\]"):
        evaluate_labels(model, listing, pool)
