"""Attributes by hand: the mean of what scenes and photo say, scaled; each told with what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError
from veduta.models.attribute_table import AttributeSpec, AttributeTable, Scaling
from veduta.recognition.attributes import TOP_ATTRIBUTES, AttributeReading
from veduta.recognition.tagger import Tagger, load
from veduta.records import Label

MakeTagger = Callable[..., Tagger]
GREEN = Image.new("RGB", (40, 30), (0, 204, 51))  # scenes by softmax of 0, 4, 1
WORDS = ("warm", "leafy", "wet")


def table(
    frequencies: list[list[float]], sources: tuple[str, ...], share: float = 0.5, names: tuple[str, ...] = WORDS
) -> AttributeTable:
    """Of three scenes and an embedding of the mean red, green and blue."""
    count = len(frequencies)
    weight = np.zeros((count, 3), np.float32)
    weight[:, 1] = 1 / 408  # half of what is green, so 0.5 for 204
    spec = AttributeSpec(
        tuple(Label(name, name) for name in names), sources, share, {"photo": Scaling(1, 0), "scene": Scaling(2, 0)}
    )
    return AttributeTable(spec, np.array(frequencies, np.float32), weight, np.full(count, 0.25, np.float32))


def test_an_attribute_of_a_scene_is_its_frequency_over_the_whole_distribution_scaled() -> None:
    read = AttributeReading(table([[1, 0, 0.5]], ("scene",), names=("warm",)))
    (told,) = read(np.array([0.5, 0.3, 0.2], np.float32), None) or ()
    assert not read.needs_embedding
    assert told.label.id == "warm"
    assert told.source == "scene"
    # Frequency 0.6, whose logit is doubled.
    assert told.probability == pytest.approx(1 / (1 + (0.4 / 0.6) ** 2), rel=1e-6)


def test_the_photo_has_its_share_where_it_has_a_say() -> None:
    read = AttributeReading(table([[1, 0, 0.5], [1, 0, 0.5]], ("photo", "scene"), share=0.25, names=("warm", "wet")))
    assert read.needs_embedding
    told = read(np.array([0.5, 0.3, 0.2], np.float32), np.array([0, 204, 51], np.float32)) or ()
    by_name = {each.label.id: each for each in told}
    assert by_name["warm"].probability == pytest.approx(0.25 * 0.75 + 0.75 * 0.6, rel=1e-6)
    assert {each.source for each in told} == {"photo", "scene"}


def test_a_photo_that_goes_beyond_never_and_always_is_still_a_probability() -> None:
    read = AttributeReading(table([[0, 0, 0]], ("photo",), share=1.0, names=("warm",)))
    for green in (-1e4, 1e4):
        (told,) = read(np.array([1, 0, 0], np.float32), np.array([0, green, 0], np.float32)) or ()
        assert 0 < told.probability < 1


def test_of_scenes_that_nobody_annotated_the_others_answer_or_nobody() -> None:
    nan = float("nan")
    read = AttributeReading(table([[1, nan, 0]], ("scene",), names=("warm",)))
    (told,) = read(np.array([0.3, 0.4, 0.3], np.float32), None) or ()
    assert told.probability == pytest.approx(0.5)
    assert read(np.array([0.2, 0.6, 0.2], np.float32), None) is None


def test_ten_are_told_the_most_probable_first() -> None:
    names = tuple(f"attribute-{place}" for place in range(14))
    read = AttributeReading(table([[place / 14] * 3 for place in range(14)], ("scene",) * 14, names=names))
    told = read(np.array([1, 0, 0], np.float32), None) or ()
    assert [each.label.id for each in told] == [f"attribute-{place}" for place in range(13, 3, -1)]
    assert len(told) == TOP_ATTRIBUTES


def test_a_tagger_tells_them_where_they_are_asked_for_and_keeps_the_embedding_to_itself(
    make_tagger: MakeTagger,
) -> None:
    numbers = table([[0, 1, 0], [1, 0, 0], [0, 0, 1]], ("photo", "photo", "scene"))
    asked = make_tagger("asked", table=numbers, ask=True).predict(GREEN)
    assert asked.attributes is not None
    assert asked.attributes[0].label.id == "warm"
    assert asked.embedding is None
    assert make_tagger("unasked", table=numbers).predict(GREEN).attributes is None
    both = make_tagger("both", table=numbers, ask=True, embedding=True).predict(GREEN)
    assert both.attributes == asked.attributes
    assert both.embedding is not None


def test_a_dropped_class_has_no_say_in_attributes(make_tagger: MakeTagger) -> None:
    numbers = table([[0, 1, 0], [0, 0, 1], [1, 0, 0]], ("scene",) * 3)
    told = make_tagger(table=numbers, ask=True, drop=["forest_path"]).predict(GREEN).attributes or ()
    assert told[0].label.id == "leafy"
    assert [each.probability for each in told if each.label.id == "warm"] == [pytest.approx(0, abs=1e-5)]


def test_attributes_do_not_depend_on_the_photos_beside(make_tagger: MakeTagger) -> None:
    tagger = make_tagger(table=table([[0, 1, 0], [1, 0, 0], [0, 0, 1]], ("photo",) * 3), ask=True)
    photos = [np.random.default_rng(seed).integers(1, 256, (16, 16, 3), np.uint8) for seed in range(9)]
    facts = [tagger.predict(Image.fromarray(photo)).facts for photo in photos]
    together = tagger._predict(photos, facts, [(0.0, 0.0, 16.0, 16.0)] * 9)
    alone = [tagger.predict(Image.fromarray(photo)).attributes for photo in photos]
    assert [each.attributes for each in together] == alone


def test_a_model_that_tells_none_says_so_before_any_photo(make_tagger: MakeTagger) -> None:
    with pytest.raises(UsageError, match=r"colours tells no attributes; choose one that does, such as places100"):
        make_tagger(ask=True)


def test_the_heads_of_a_model_are_its_attributes_asked_or_not(make_tagger: MakeTagger) -> None:
    photo = Image.new("RGB", (20, 20), (130, 135, 0))
    unasked, asked = make_tagger("a", attributes=True), make_tagger("b", attributes=True, ask=True)
    assert unasked.tells_attributes
    assert unasked.predict(photo).attributes == asked.predict(photo).attributes
    assert {each.source for each in asked.predict(photo).attributes or ()} == {"photo"}


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("samples_cc0/bakery.jpg", {"enclosed_area", "no_horizon", "man-made"}),
        ("samples_cc0/ruins.jpg", {"natural_light", "man-made", "open_area"}),
    ],
)
def test_the_bundled_model_tells_what_a_real_photo_shows(shared_data: Path, photo: str, expected: set[str]) -> None:
    tagger = load(threads=1, attributes=True)
    told = tagger.predict(shared_data / photo).attributes
    assert told is not None
    assert len(told) == TOP_ATTRIBUTES
    assert expected <= {each.label.id for each in told[:5]}
    assert all(0 < each.probability < 1 for each in told)
    assert load(threads=1).predict(shared_data / photo).attributes is None
