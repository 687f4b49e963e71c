from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.answers import list_labelled
from veduta.evaluation.evaluate import evaluate
from veduta.evaluation.values import evaluation_values
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger

Model = Callable[..., Tagger]
Folders = Callable[[str, dict[str, list[str]]], Path]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


def test_folders_become_figures_and_what_was_wrong_is_named(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "red", "blue"], "Forest-Path": ["green"], "ocean": ["blue"] * 4})
    told: list[tuple[int, int, int]] = []
    found = evaluate(made_model(), data, pool, progress=lambda *counts: told.append(counts))
    figures = {each.name: each for each in found.judgement.metrics}
    assert figures["top1"].value == pytest.approx(7 / 8)
    assert figures["mean_recall"].value == pytest.approx((2 / 3 + 1 + 1) / 3, abs=1e-4)
    assert figures["environment_by_probability"].value == pytest.approx(7 / 8)
    assert "top5" not in figures
    assert [(pair.true.id, pair.predicted.id, pair.photos) for pair in found.judgement.confusions] == [
        ("kitchen", "ocean", 1)
    ]
    (mistake,) = found.mistakes
    assert mistake.path.endswith("kitchen/2.png")
    assert mistake.said.id == "ocean"
    assert mistake.said_probability > 0.9
    assert mistake.rank in (2, 3)
    assert told[-1] == (8, 0, 8)
    assert found.failures == found.left_out == ()


def test_another_size_is_told_and_its_probabilities_do_not_count_as_calibrated(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "red"], "ocean": ["blue"]})
    own = evaluate(made_model(), data, pool).conditions
    found = evaluate(made_model(size=32), data, pool)
    smaller = found.conditions
    assert (own.size, own.own_size, own.calibrated, own.caveat) == (48, 48, True, "")
    assert (smaller.size, smaller.own_size, smaller.calibrated) == (32, 48, False)
    assert "32 pixels" in smaller.caveat
    assert "48" in smaller.caveat
    values = evaluation_values(found)
    assert (values["size"], values["model_size"], values["calibrated"]) == (32, 48, False)
    never = evaluate(made_model(temperature=None), data, pool).conditions
    assert not never.calibrated
    assert "not calibrated" in never.caveat
    assert "pixels" not in never.caveat


def test_without_the_extra_no_photo_is_decoded(
    made_model: Model, colour_folders: Folders, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "red"]})
    tagger, decoded = made_model(), []
    monkeypatch.setattr(pool, "submit", lambda *photo: decoded.append(photo))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingExtra, match=r"veduta\[evaluate\]"):
        evaluate(tagger, data, pool)
    assert decoded == []


def test_photos_without_an_answer_are_named_and_in_no_figure(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "broken", "white", "red"], "ocean": ["blue"]})
    found = evaluate(made_model(), data, pool)
    assert found.judgement.photos == 3
    assert [(Path(each.path).name, each.error) for each in found.failures] == [
        ("1.png", "CorruptPhoto"),
        ("2.png", "NoAnswer"),
    ]
    assert found.judgement.metrics[0].value == 1.0


def test_folders_that_are_no_class_are_left_out_and_named(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red"], "garage": ["grey", "grey"], ".hidden": ["red"]})
    found = evaluate(made_model(), data, pool)
    assert found.left_out == ("garage",)
    assert found.judgement.photos == 1
    with pytest.raises(UsageError, match="--coarse"):
        evaluate(made_model(), colour_folders("other", {"garage": ["grey"]}), pool)


def test_everyday_labels_are_judged_where_classes_have_other_names(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders(
        "set", {"rainforest": ["green", "red"], "sea": ["blue"], "museum": ["red"], "fog": ["red"], "waves": ["blue"]}
    )
    found = evaluate(made_model(), data, pool, coarse=True, same={"waves": "sea"})
    assert found.coarse is not None
    assert found.coarse.mapping.judged == {"rainforest": "forest", "sea": "sea", "waves": "sea"}
    assert found.coarse.mapping.absent == {"museum": "museum"}
    assert found.coarse.mapping.unnamed == ("fog",)
    assert found.judgement.metrics[0].value == 0.75
    assert found.mistakes[0].true.id == "forest"
    values = evaluation_values(found)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["labels"] == "coarse"
    assert values["matrix"]["forest"] == {"forest": 1, "kitchen": 1}
    assert values["without_coarse_label"] == ["fog"]


def test_strangers_are_rejected_by_the_models_own_threshold(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red"] * 4})
    strange = colour_folders("odd", {"a": ["grey", "grey", "red"], "b": ["grey", "broken"]})
    found = evaluate(made_model(), data, pool, strangers=strange)
    figures = {each.name: each for each in found.evidence}
    assert figures["evidence_kept"].value == 1.0
    assert figures["evidence_rejected"].value == 0.75
    assert figures["evidence_rejected"].count == 4
    assert figures["evidence_rejected"].data == "odd"
    assert figures["evidence_auroc"].value == pytest.approx(0.875)
    assert [each.error for each in found.failures] == ["CorruptPhoto"]
    assert json.dumps(evaluation_values(found), allow_nan=False)


def test_what_cannot_be_judged_is_refused_before_any_photo_is_read(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path
) -> None:
    data = colour_folders("set", {"kitchen": ["red"]})
    with pytest.raises(UsageError, match="no evidence"):
        evaluate(made_model(evidence=False), data, pool, strangers=data)
    with pytest.raises(UsageError, match="several labels"):
        evaluate(made_model(task="multi_label"), data, pool)
    with pytest.raises(UsageError, match="not a folder"):
        evaluate(made_model(), data, pool, strangers=tmp_path / "none")
    with pytest.raises(UsageError, match="everyday label"):
        evaluate(made_model(), colour_folders("foggy", {"fog": ["grey"]}), pool, coarse=True)
    with pytest.raises(UsageError, match="could be read"):
        evaluate(made_model(), colour_folders("broken", {"kitchen": ["broken"]}), pool)


def test_class_folders_are_listed_with_all_that_lies_in_them(colour_folders: Folders, tmp_path: Path) -> None:
    data = colour_folders("set", {"kitchen/deep": ["red"], "kitchen/more": ["red"], "bar": ["red"]})
    (data / "empty").mkdir()
    (data / "notes.txt").write_text("no photo")
    assert [(Path(each.path).relative_to(data).as_posix(), each.label) for each in list_labelled(data)] == [
        ("bar/0.png", "bar"),
        ("kitchen/deep/0.png", "kitchen"),
        ("kitchen/more/0.png", "kitchen"),
    ]
    with pytest.raises(UsageError, match="not a folder"):
        list_labelled(tmp_path / "none")
    with pytest.raises(UsageError, match="class folders"):
        list_labelled(data / "empty")
