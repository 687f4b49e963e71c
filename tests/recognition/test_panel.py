"""Which models of a request can be averaged, and with which weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import BundleCorrupt
from veduta.labels.taxonomy import Taxonomy
from veduta.models.ensemble_weights import EnsembleWeights, Member, keep_weights, weights_file
from veduta.recognition.panel import Panel, stored_weights, weighted_ensemble
from veduta.recognition.tagger import Tagger
from veduta.records import Basis, Label

MakeTagger = Callable[..., Tagger]
PHOTO = Image.new("RGB", (30, 30), (0, 204, 51))

PLACES = tuple(Label(name, name) for name in ("bar", "rainforest", "canyon"))
OBJECTS = tuple(Label(name, name) for name in ("teapot", "spoon", "sieve"))
ALBUM = EnsembleWeights("labels", (Member("a", "1", 0.25), Member("b", "2", 0.75)), "album", 200, 1.0, 0.9)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))


@pytest.fixture
def named(make_tagger: MakeTagger) -> Callable[[str], list[Tagger]]:
    """``s1 s2 p1 o1 m1``: models of scenes, of other places, of objects, and of many labels at once."""
    kinds = {"s": {}, "p": {"labels": PLACES}, "o": {"labels": OBJECTS}, "m": {"task": "multi_label"}}
    return lambda names: [make_tagger(name, **kinds[name[0]]) for name in names.split()]


@pytest.mark.parametrize(
    ("names", "groups", "apart"),
    [
        ("", [], ""),
        ("s1", [], "s1"),
        ("s1 s2", [("labels", "s1 s2")], ""),
        ("s1 p1", [("coarse", "s1 p1")], ""),
        ("s1 o1 m1", [], "s1 o1 m1"),
        ("s1 p1 s2", [("coarse", "s1 p1 s2"), ("labels", "s1 s2")], ""),
        ("o1 s1 o2 m1 p1", [("coarse", "s1 p1"), ("labels", "o1 o2")], "m1"),
        ("o1 s1 m1 o2 m2", [("labels", "o1 o2")], "s1 m1 m2"),
        ("p1 s1 s2 p2", [("coarse", "p1 s1 s2 p2"), ("labels", "p1 p2"), ("labels", "s1 s2")], ""),
    ],
)
def test_models_are_parted_into_what_can_be_averaged(
    named: Callable[[str], list[Tagger]], names: str, groups: list[tuple[str, str]], apart: str
) -> None:
    panel = Panel(named(names))
    found = [(each.basis, " ".join(tagger.bundle.name for tagger in each.taggers)) for each in panel.ensembles]
    assert found == groups
    assert panel.apart == tuple(apart.split())


def test_labels_of_another_order_are_other_labels(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("one", labels=OBJECTS), make_tagger("two", labels=OBJECTS[::-1])]
    assert Panel(taggers).apart == ("one", "two")


def test_each_group_combines_the_predictions_of_its_own(named: Callable[[str], list[Tagger]]) -> None:
    taggers = named("o1 s1 m1 o2 p1")
    rows = [(0.5, 0.25, 0.25), (0.0, 1.0, 0.0), (0.9, 0.9, 0.9), (0.25, 0.75, 0.0), (1.0, 0.0, 0.0)]
    predictions = [
        replace(tagger.predict(PHOTO), probabilities=np.array(row, np.float32))
        for tagger, row in zip(taggers, rows, strict=True)
    ]
    scenes, objects = Panel(taggers).combine(predictions)
    assert scenes.models == ("s1", "p1")
    assert scenes.coarse is not None
    assert {score.label.id: score.probability for score in scenes.coarse} == {"forest": 0.5, "restaurant": 0.5}
    assert not scenes.agree
    assert objects.models == ("o1", "o2")
    assert objects.coarse is None
    assert objects.environment is None
    assert objects.scores is not None
    assert {score.label.id: score.probability for score in objects.scores} == {
        "spoon": 0.5, "teapot": 0.375, "sieve": 0.125,
    }  # fmt: skip


def test_each_group_is_asked_for_weights_of_its_own(named: Callable[[str], list[Tagger]]) -> None:
    asked: list[tuple[str, Basis]] = []

    def weights_of(taggers: Sequence[Tagger], basis: Basis) -> EnsembleWeights | None:
        asked.append((" ".join(tagger.bundle.name for tagger in taggers), basis))
        if basis == "coarse":
            return None
        first, second = (tagger.bundle.bundle_id for tagger in taggers)
        return replace(ALBUM, members=(Member("x", second, 0.75), Member("y", first, 0.25)))

    scenes = named("s1 p1")
    scenes.append(_other(scenes[0]))
    panel = Panel(scenes, weights_of)
    assert asked == [("s1 p1 s1", "coarse"), ("s1 s1", "labels")]
    assert [each.weights for each in panel.ensembles] == [(1 / 3,) * 3, (0.25, 0.75)]
    assert [each.weighted_on for each in panel.ensembles] == [None, "album, 200 photos"]


def test_weights_on_file_count_where_models_are_asked_as_they_were_weighed(
    make_tagger: MakeTagger, tmp_path: Path
) -> None:
    first = make_tagger("first")
    second = _other(first)
    ids = [tagger.bundle.bundle_id for tagger in (first, second)]
    assert stored_weights([first, second], "labels") is None
    keep_weights(replace(ALBUM, members=(Member("first", ids[0], 0.25), Member("second", ids[1], 0.75))))
    assert weighted_ensemble([first, second], stored_weights).weights == (0.25, 0.75)
    assert weighted_ensemble([second, first], stored_weights).weights == (0.75, 0.25)
    assert weighted_ensemble([second, first], stored_weights).weighted_on == "album, 200 photos"
    assert weighted_ensemble([first, second], None).weights == (0.5, 0.5)
    assert stored_weights([first, second], "coarse") is None
    for other in (
        _other(first, size=32),
        _other(first, drop=("kitchen",)),
        _other(first, temperature=3.5),
        first,
    ):
        assert weighted_ensemble([first, other], stored_weights).weights == (0.5, 0.5)


def test_over_coarse_labels_weights_hold_for_the_shipped_ones_alone(make_tagger: MakeTagger, tmp_path: Path) -> None:
    first, places = make_tagger("first"), make_tagger("places", labels=PLACES)
    members = (Member("first", first.bundle.bundle_id, 0.25), Member("places", places.bundle.bundle_id, 0.75))
    keep_weights(replace(ALBUM, basis="coarse", members=members))
    assert weighted_ensemble([first, places], stored_weights).weights == (0.25, 0.75)
    (tmp_path / "own.toml").write_text('unlisted = "keep"\n[water]\nmembers = ["ocean"]\n')
    own = [Tagger(each.bundle, each.session, taxonomy=Taxonomy.load(tmp_path / "own.toml")) for each in (first, places)]
    assert weighted_ensemble(own, stored_weights).weights == (0.5, 0.5)


def test_weights_that_can_not_be_read_are_told(make_tagger: MakeTagger) -> None:
    first = make_tagger("first")
    weights_file().parent.mkdir(parents=True)
    weights_file().write_text("nonsense")
    with pytest.raises(BundleCorrupt, match=r"ensembles.json"):
        Panel([first, _other(first)], stored_weights)


def _other(tagger: Tagger, *, temperature: float = 1.5, size: int | None = None, drop: tuple[str, ...] = ()) -> Tagger:
    """The same model at another temperature, and so of another identity."""
    head = replace(tagger.head, temperature=temperature)
    bundle = replace(tagger.bundle, heads=(head,), bundle_id=f"of {temperature}")
    return Tagger(bundle, tagger.session, taxonomy=tagger.taxonomy, size=size, drop=drop)
