from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from veduta.recognition.ensemble import Ensemble
from veduta.recognition.tagger import Tagger
from veduta.records import Label

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
