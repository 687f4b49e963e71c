from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.evaluate_table import evaluate_table
from veduta.evaluation.values import table_evaluation_values
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


def test_columns_become_figures_and_what_was_wrong_is_named(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool
) -> None:
    rows = ["0.png,0,1,0,1", "1.png,0,1,0,1", "2.png,1,1,0,0", "3.png,1,0,0,1", "4.png,1,0,0,1", "5.png,1,0,0,1"]
    told: list[tuple[int, int, int]] = []
    found = evaluate_table(
        made_model(task="multi_label"),
        table("\n".join(["file,Ocean,kitchen,forest-path,fog", *rows])),
        pool,
        lambda *counts: told.append(counts),
    )
    ocean, kitchen = found.judgement.figures
    assert (ocean.label.id, ocean.photos, kitchen.label.id, kitchen.photos) == ("ocean", 3, "kitchen", 3)
    assert (kitchen.average_precision, kitchen.f1) == (1.0, pytest.approx(6 / 8))
    assert ocean.average_precision < 1.0
    assert [label.id for label in found.judgement.never_present] == ["forest_path"]
    assert found.left_out == ("fog",)
    assert found.judgement.photos == 5
    assert [Path(each.path).name for each in found.failures] == ["5.png"]
    assert told[-1] == (6, 1, 6)
    values = table_evaluation_values(found)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert [each["label"] for each in values["by_label"]] == ["ocean", "kitchen"]
    assert values["calibrated"] is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,fog\n0.png,1", "no labels of made"),
        ("file,ocean,Ocean\n0.png,1,0", "two columns"),
        ("file,ocean\n0.png,1\n0.png,0", "twice"),
        ("file,ocean\n0.png,0", "gives no photo a label"),
        ("file,ocean\n5.png,1", "could be read"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool, text: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        evaluate_table(made_model(task="multi_label"), table(text), pool)


def test_another_kind_of_model_or_a_missing_extra_is_told_before_any_photo(
    made_model: Model, table: Callable[[str], Path], pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "submit", lambda *_photo: pytest.fail("a photo was decoded"))
    listing, model = table("file,ocean\n0.png,1"), made_model(task="multi_label")
    with pytest.raises(UsageError, match="one label for each photo"):
        evaluate_table(made_model(), listing, pool)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"veduta\[evaluate\]"):
        evaluate_table(model, listing, pool)
