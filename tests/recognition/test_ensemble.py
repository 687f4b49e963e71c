from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError
from veduta.recognition.ensemble import Ensemble
from veduta.recognition.tagger import Tagger
from veduta.records import Environment, Evidence, Label, Prediction

MakeTagger = Callable[..., Tagger]
PHOTO = Image.new("RGB", (30, 30), (0, 204, 51))

PLACES = (
    Label("bar", "bar", "indoor"),
    Label("rainforest", "rainforest", "outdoor"),
    Label("canyon", "canyon", "outdoor"),
)


def test_models_with_the_same_labels_are_averaged_in_probability_space(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("sharp", temperature=1.0), make_tagger("soft", temperature=8.0)]
    predictions = [tagger.predict(PHOTO) for tagger in taggers]
    combined = Ensemble(taggers).combine(predictions)
    assert combined is not None
    assert combined.basis == "labels"
    assert combined.models == ("sharp", "soft")
    by_hand = np.mean([prediction.probabilities for prediction in predictions], axis=0)
    assert combined.scores is not None
    assert [score.probability for score in combined.scores] == pytest.approx(sorted(by_hand, reverse=True), abs=1e-6)
    assert combined.environment is not None
    assert combined.environment.outdoor_probability == pytest.approx(by_hand[1] + by_hand[2], abs=1e-6)


def test_models_with_other_labels_are_averaged_over_coarse_labels(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("here"), make_tagger("there", labels=PLACES)]
    predictions = [tagger.predict(PHOTO) for tagger in taggers]
    combined = Ensemble(taggers).combine(predictions)
    assert combined is not None
    assert combined.basis == "coarse"
    assert combined.scores is None
    assert combined.coarse is not None
    # Both call the green photo a forest, by different fine labels.
    assert combined.coarse[0].label.id == "forest"
    forest = np.mean([prediction.probabilities[1] for prediction in predictions])  # type: ignore[index]
    assert combined.coarse[0].probability == pytest.approx(forest, abs=1e-6)


def test_where_a_model_has_no_coarse_labels_there_is_no_average(make_tagger: MakeTagger) -> None:
    objects = tuple(Label(name, name) for name in ("teapot", "spoon", "sieve"))
    taggers = [make_tagger("scenes"), make_tagger("objects", labels=objects)]
    assert Ensemble(taggers).combine([tagger.predict(PHOTO) for tagger in taggers]) is None


def test_labels_that_may_all_be_present_are_not_averaged_with_one_of_many(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("one"), make_tagger("many", task="multi_label")]
    assert Ensemble(taggers).combine([tagger.predict(PHOTO) for tagger in taggers]) is None


def test_one_model_is_no_ensemble(make_tagger: MakeTagger) -> None:
    tagger = make_tagger()
    assert Ensemble([tagger]).combine([tagger.predict(PHOTO)]) is None


def said(tagger: Tagger, *probabilities: float, fits: bool = True) -> Prediction:
    """A prediction of these probabilities."""
    evidence = Evidence(0.0, 1.0, fits)
    return replace(
        tagger.predict(PHOTO), probabilities=np.array(probabilities, np.float32), evidence=evidence, environment=None
    )


def test_the_weighted_mean_is_the_one_by_hand(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("a"), make_tagger("b"), make_tagger("c")]
    ensemble = Ensemble(taggers, (1, 2, 5))
    assert ensemble.weights == (0.125, 0.25, 0.625)
    rows = [(0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4)]
    combined = ensemble.combine([said(tagger, *row) for tagger, row in zip(taggers, rows, strict=True)])
    assert combined is not None
    assert combined.weights == ensemble.weights
    kitchen, forest, ocean = 0.3, 0.4125, 0.2875  # 0.125 * 0.7 + 0.25 * 0.1 + 0.625 * 0.3 and so on
    assert combined.scores is not None
    assert {score.label.id: score.probability for score in combined.scores} == pytest.approx(
        {"forest_path": forest, "kitchen": kitchen, "ocean": ocean}, abs=1e-6
    )
    assert combined.coarse is not None
    assert {score.label.id: score.probability for score in combined.coarse} == pytest.approx(
        {"forest": forest, "kitchen": kitchen, "sea": ocean}, abs=1e-6
    )
    assert combined.environment is not None
    assert combined.environment.outdoor_probability == pytest.approx(forest + ocean, abs=1e-6)


def test_the_weighted_mean_over_coarse_labels_is_the_one_by_hand(make_tagger: MakeTagger) -> None:
    here, there = make_tagger("here"), make_tagger("there", labels=PLACES)
    first = replace(said(here, 0.7, 0.2, 0.1), environment=Environment("outdoor", 0.9, 0.8))
    second = replace(said(there, 0.1, 0.6, 0.3), environment=Environment("indoor", 0.1, 0.2))
    combined = Ensemble([here, there], [3, 1]).combine([first, second])
    assert combined is not None
    assert combined.basis == "coarse"
    assert combined.coarse is not None
    assert {score.label.id: score.probability for score in combined.coarse} == pytest.approx(
        {"kitchen": 0.525, "forest": 0.3, "sea": 0.075, "rocks": 0.075, "restaurant": 0.025}, abs=1e-6
    )
    assert combined.environment is not None
    assert combined.environment.kind == "outdoor"
    assert combined.environment.outdoor_probability == pytest.approx(0.7, abs=1e-6)
    assert combined.environment.outdoor_vote == pytest.approx(0.65, abs=1e-6)


def test_the_environment_is_that_of_the_models_that_tell_one(make_tagger: MakeTagger) -> None:
    here, there = make_tagger("here"), make_tagger("there", labels=PLACES)
    first, second = said(here, 0.7, 0.2, 0.1), said(there, 0.1, 0.6, 0.3)
    told = replace(second, environment=Environment("indoor", 0.25, 0.5))
    combined = Ensemble([here, there], [3, 1]).combine([first, told])
    assert combined is not None
    assert combined.environment == told.environment
    for ensemble, predictions in (
        (Ensemble([here, there]), [first, second]),
        (Ensemble([here, there], [1, 0]), [first, told]),
    ):
        combined = ensemble.combine(predictions)
        assert combined is not None
        assert combined.environment is None


@pytest.mark.parametrize("count", [2, 3, 7])
def test_equal_weights_change_no_bit_of_the_plain_mean(make_tagger: MakeTagger, count: int) -> None:
    taggers = [make_tagger(f"model-{index}") for index in range(count)]
    rows = np.random.default_rng(count).dirichlet(np.ones(3), count).astype(np.float32)
    predictions = [said(tagger, *row.tolist()) for tagger, row in zip(taggers, rows, strict=True)]
    plain = rows.astype(np.float64).mean(axis=0).astype(np.float32)
    for weights in (None, [0.1] * count):
        combined = Ensemble(taggers, weights).combine(predictions)
        assert combined is not None
        assert combined.scores is not None
        assert [score.probability for score in combined.scores] == sorted(map(float, plain), reverse=True)
        assert combined.weights == (1 / count,) * count
        assert combined.weighted_on is None


def test_what_the_weights_were_learnt_on_is_told(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("a"), make_tagger("b")]
    ensemble = Ensemble(taggers, (1, 3), weighted_on="album, 200 photos")
    combined = ensemble.combine([tagger.predict(PHOTO) for tagger in taggers])
    assert combined is not None
    assert combined.weighted_on == "album, 200 photos"


@pytest.mark.parametrize(
    "weights", [(1,), (1, 1, 1), (1, -1), (0, 0), (1, float("nan")), (1, float("inf")), (1e308, 1.1e308)]
)
def test_weights_that_can_not_be_meant_are_refused(make_tagger: MakeTagger, weights: tuple[float, ...]) -> None:
    taggers = [make_tagger("a"), make_tagger("b")]
    with pytest.raises(UsageError, match="weights"):
        Ensemble(taggers, weights)


def test_votes_are_counted_and_the_surest_is_named(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("a"), make_tagger("b"), make_tagger("c")]
    rows = [(0.9, 0.1, 0.0), (0.2, 0.8, 0.0), (0.3, 0.7, 0.0)]
    combined = Ensemble(taggers).combine([said(tagger, *row) for tagger, row in zip(taggers, rows, strict=True)])
    assert combined is not None
    assert [(vote.label.id, vote.models) for vote in combined.votes] == [
        ("forest_path", ("b", "c")),
        ("kitchen", ("a",)),
    ]
    assert not combined.agree
    assert combined.abstaining == ()
    assert combined.surest is not None
    assert (combined.surest.model, combined.surest.score.label.id) == ("a", "kitchen")
    assert combined.surest.score.probability == pytest.approx(0.9)


def test_on_coarse_labels_the_first_choice_is_the_first_coarse_label(make_tagger: MakeTagger) -> None:
    labels = (Label("bar", "bar"), Label("rainforest", "rainforest"), Label("forest_path", "forest path"))
    here, there = make_tagger("here"), make_tagger("there", labels=labels)
    # By fine labels the second would say bar.
    combined = Ensemble([here, there]).combine([said(here, 0.2, 0.7, 0.1), said(there, 0.4, 0.3, 0.3)])
    assert combined is not None
    assert [(vote.label.id, vote.models) for vote in combined.votes] == [("forest", ("here", "there"))]
    assert combined.agree
    assert combined.surest is not None
    assert (combined.surest.model, combined.surest.score.label.id) == ("here", "forest")


def test_a_model_that_says_that_nothing_fits_abstains_and_stays_in_the_mean(make_tagger: MakeTagger) -> None:
    taggers = [make_tagger("a"), make_tagger("b")]
    ensemble = Ensemble(taggers)
    predictions = [said(taggers[0], 1.0, 0.0, 0.0, fits=False), said(taggers[1], 0.2, 0.6, 0.2)]
    combined = ensemble.combine(predictions)
    assert combined is not None
    assert [(vote.label.id, vote.models) for vote in combined.votes] == [("forest_path", ("b",))]
    assert combined.abstaining == ("a",)
    assert combined.agree
    assert combined.surest is not None
    assert combined.surest.model == "b"
    assert combined.scores is not None
    assert combined.scores[0].label.id == "kitchen"
    assert combined.scores[0].probability == pytest.approx(0.6, abs=1e-6)
    nobody = ensemble.combine([predictions[0], said(taggers[1], 0.2, 0.6, 0.2, fits=False)])
    assert nobody is not None
    assert (nobody.votes, nobody.surest, nobody.agree, nobody.abstaining) == ((), None, True, ("a", "b"))
