from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.answers import list_labelled
from veduta.evaluation.evaluate import evaluate
from veduta.evaluation.evaluate_classes import Evaluation, evaluate_classes
from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.metrics import newcombe_interval
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


def test_folders_become_figures_and_what_was_wrong_is_named(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "red", "blue"], "Forest-Path": ["green"], "ocean": ["blue"] * 4})
    told: list[tuple[int, int, int]] = []
    found = evaluate_classes(made_model(), data, pool, progress=lambda *counts: told.append(counts))
    figures = {each.name: each for each in (*found.judgement.metrics, *found.judgement.further)}
    assert figures["top1"].value == pytest.approx(7 / 8)
    assert figures["top1_error"].value == pytest.approx(1 / 8)
    low, high = figures["top1"].interval or (0.0, 0.0)
    assert figures["top1_error"].interval == pytest.approx((1 - high, 1 - low))
    assert figures["mean_recall"].value == pytest.approx((2 / 3 + 1 + 1) / 3, abs=1e-4)
    assert figures["mean_precision"].value == pytest.approx((1 + 1 + 4 / 5) / 3, abs=1e-4)
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
    assert mistake.explained == 2
    assert found.thresholds[0].above == 8
    assert [promise.threshold for promise in found.promises] == [None] * 3
    assert found.sets is None
    assert told[-1] == (8, 0, 8)
    assert found.failures == ()
    assert found.main.mapping.unnamed == {}
    assert len(found.paths) == 8


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


def test_folders_that_are_no_class_are_left_out_and_named_with_what_they_may_mean(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red"], "forest": ["green"], "garage": ["grey", "grey"], ".h": ["red"]})
    found = evaluate_classes(made_model(), data, pool)
    assert found.main.mapping.unnamed == {"forest": ("forest_path",), "garage": ()}
    assert found.judgement.photos == 1
    with pytest.raises(UsageError, match=r"'kichen' may be 'kitchen'.*--labels FILE .* --coarse"):
        evaluate(made_model(), colour_folders("other", {"garage": ["grey"], "kichen": ["red"]}), pool)


def test_a_map_of_labels_tells_what_the_classes_of_another_set_mean(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"galley": ["red", "blue"], "waves": ["blue"], "garage": ["grey"]})
    options = Options(meanings=LabelMap({"galley": "kitchen", "waves": "ocean"}))
    found = evaluate_classes(made_model(), data, pool, options)
    assert found.main.mapping.judged == {"galley": "kitchen", "waves": "ocean"}
    assert [(each.label.id, each.label.coarse, each.recall) for each in found.main.renamed] == [
        ("galley", "kitchen", 0.5),
        ("waves", "ocean", 1.0),
    ]


def test_accuracy_is_told_raw_by_everyday_label_and_by_the_users_own_map_ranked_after_summing(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red", "green"], "ocean": ["blue", "green"], "outside": ["green"]})
    options = Options(wider=LabelMap({"forest_path": "outside", "ocean": "outside"}))
    found = evaluate_classes(made_model(), data, pool, options)
    assert found.main.level.name == "classes"
    assert (found.judgement.metrics[0].value, found.judgement.photos) == (0.5, 4)
    wide = found.at("map")
    assert wide is not None
    # A forest path is as much outside as an ocean, and the folder "outside" means the wider class alone.
    assert (wide.judgement.metrics[0].value, wide.judgement.photos) == (0.8, 5)
    assert [label.id for label in wide.judgement.labels] == ["kitchen", "outside"]
    assert found.at("coarse") is None  # the three everyday labels are the three classes again
    values = evaluation_values(found)
    assert [each["labels"] for each in values["levels"]] == ["map"]
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_a_set_of_wider_classes_alone_is_judged_by_the_map(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"inside": ["red"], "outside": ["green", "blue"]})
    wider = LabelMap({"kitchen": "inside", "forest_path": "outside", "ocean": "outside"})
    found = evaluate_classes(made_model(), data, pool, Options(wider=wider))
    assert found.main.level.name == "map"
    assert found.judgement.metrics[0].value == 1.0


def test_everyday_labels_are_judged_where_classes_have_other_names(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders(
        "set", {"rainforest": ["green", "red"], "sea": ["blue"], "museum": ["red"], "fog": ["grey"], "waves": ["blue"]}
    )
    options = Options(coarse=True, meanings=LabelMap({"waves": "sea"}))
    found = evaluate_classes(made_model(), data, pool, options)
    assert found.main.level.name == "coarse"
    assert found.main.mapping.judged == {"rainforest": "forest", "sea": "sea", "waves": "sea"}
    assert found.main.mapping.absent == {"museum": "museum"}
    assert found.main.mapping.unnamed == {"fog": ()}
    assert found.judgement.metrics[0].value == 0.75
    assert (found.mistakes[0].true.id, found.mistakes[0].explained) == ("forest", 0)
    values = evaluation_values(found)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["labels"] == "coarse"
    assert values["matrix"]["forest"] == {"forest": 1, "kitchen": 1}
    assert values["not_judged"] == {"fog": []}


def test_strangers_are_rejected_by_the_models_own_threshold(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red"] * 4})
    strange = colour_folders("odd", {"a": ["grey", "grey", "red"], "b": ["grey", "broken"]})
    found = evaluate_classes(made_model(), data, pool, Options(strangers=strange))
    figures = {each.name: each for each in found.evidence}
    assert figures["evidence_kept"].value == 1.0
    assert figures["evidence_rejected"].value == 0.75
    assert figures["evidence_rejected"].count == 4
    assert figures["evidence_rejected"].data == "odd"
    assert figures["evidence_auroc"].value == pytest.approx(0.875)
    assert [each.error for each in found.failures] == ["CorruptPhoto"]
    assert json.dumps(evaluation_values(found), allow_nan=False)


def test_photos_from_elsewhere_are_judged_alike_and_the_drop_has_newcombes_interval(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("set", {"kitchen": ["red"] * 8, "ocean": ["blue"] * 7})
    wild = colour_folders("wild", {"kitchen": ["red", "blue", "broken"], "fog": ["grey"]})
    told: list[tuple[int, int, int]] = []
    options = Options(wild=wild)
    found = evaluate_classes(made_model(), data, pool, options, lambda *counts: told.append(counts))
    assert told[-1] == (18, 1, 18)
    assert found.wild is not None
    assert (found.wild.judgement.data, found.wild.judgement.photos) == ("wild", 2)
    assert found.wild.main.mapping.unnamed == {"fog": ()}
    assert [each.error for each in found.all_failures] == ["CorruptPhoto"]
    everything, shared = found.drops
    assert (everything.name, everything.on, everything.value) == ("top1", "all", 0.5)
    assert (everything.photos_here, everything.photos_elsewhere) == (15, 2)
    assert everything.interval == newcombe_interval((15, 15), (1, 2))
    assert everything.shown == ("50.0", "4.6 to 90.5")
    assert (shared.on, shared.photos_here) == ("shared", 8)
    values = evaluation_values(found)
    assert values["wild"]["photos"] == 2
    assert [each["drop"] for each in values["drops"]] == [0.5, 0.5]


def test_the_same_photos_give_the_same_figures(made_model: Model, colour_folders: Folders, pool: DecodePool) -> None:
    data = colour_folders("set", {"kitchen": ["red", "red", "blue"] * 3, "forest_path": ["green"] * 5})
    first, second = (evaluation_values(evaluate(made_model(), data, pool)) for _ in range(2))
    assert first == second


def test_what_cannot_be_judged_is_refused_before_any_photo_is_read(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = colour_folders("set", {"kitchen": ["red"]})
    with pytest.raises(UsageError, match="could be read"):
        evaluate(made_model(), colour_folders("broken", {"kitchen": ["broken"]}), pool)
    model = made_model()
    monkeypatch.setattr(pool, "submit", lambda *_photo: pytest.fail("a photo was decoded"))
    with pytest.raises(UsageError, match="no evidence"):
        evaluate(made_model(evidence=False), data, pool, Options(strangers=data))
    with pytest.raises(UsageError, match="has one for each photo"):
        evaluate(made_model(task="multi_label"), data, pool)
    with pytest.raises(UsageError, match="is not a folder"):
        evaluate(model, data, pool, Options(strangers=tmp_path / "none"))
    with pytest.raises(UsageError, match="no everyday label"):
        evaluate(model, colour_folders("foggy", {"fog": ["grey"]}), pool, Options(coarse=True))
    with pytest.raises(UsageError, match=r"precision of 99"):
        evaluate(model, data, pool, Options(precisions=(99.0,)))
    with pytest.raises(UsageError, match=r"'kichen' is no class of the model; did you mean 'kitchen'"):
        evaluate(model, data, pool, Options(wider=LabelMap({"kichen": "room"})))
    with pytest.raises(UsageError, match="'sea' is no class of the set"):
        evaluate(model, data, pool, Options(meanings=LabelMap({"sea": "ocean"})))
    with pytest.raises(UsageError, match=r"wild.*mean.* no class of made"):
        evaluate(model, data, pool, Options(wild=colour_folders("wild", {"fog": ["grey"]})))
    bare = made_model()
    bare.labels = tuple(replace(label, coarse=None) for label in bare.labels)
    with pytest.raises(UsageError, match="--taxonomy that lists them all"):
        evaluate(bare, data, pool, Options(coarse=True))
    listing = tmp_path / "set.csv"
    listing.write_text("path,labels\nset/kitchen/0.png,kitchen\n")
    with pytest.raises(UsageError, match="tells one label for each photo"):
        evaluate(model, listing, pool)


def test_a_model_of_either_kind_gets_its_own_figures(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path
) -> None:
    data = colour_folders("set", {"kitchen": ["red"], "ocean": ["blue"]})
    listing = tmp_path / "set.csv"
    listing.write_text("path,labels\nset/kitchen/0.png,kitchen\nset/ocean/0.png,ocean\n")
    assert isinstance(evaluate(made_model(), data, pool), Evaluation)
    assert isinstance(evaluate(made_model(task="multi_label"), listing, pool), LabelEvaluation)


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
