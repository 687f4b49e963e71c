from __future__ import annotations

import pytest

from veduta.recognition.votes import Choice, count_votes, surest_choice
from veduta.records import Label, Score


def choice(model: str, label: str, probability: float, calibrated: bool = True) -> Choice:
    return Choice(model, Score(Label(label, label), probability), calibrated)


@pytest.mark.parametrize(
    ("choices", "ranked"),
    [
        ([], []),
        ([("a", "bar", 0.4)], [("bar", ("a",))]),
        ([("a", "bar", 0.9), ("b", "sea", 0.2), ("c", "sea", 0.2)], [("sea", ("b", "c")), ("bar", ("a",))]),
        ([("a", "bar", 0.3), ("b", "sea", 0.5)], [("sea", ("b",)), ("bar", ("a",))]),
        ([("a", "sea", 0.5), ("b", "bar", 0.5)], [("sea", ("a",)), ("bar", ("b",))]),
    ],
    ids=["none", "one", "most models first", "then by probability", "then as it came"],
)
def test_votes_are_ranked(choices: list[tuple[str, str, float]], ranked: list[tuple[str, tuple[str, ...]]]) -> None:
    found = count_votes([choice(*each) for each in choices])
    assert [(vote.label.id, vote.models) for vote in found] == ranked


def test_the_surest_is_the_most_probable_first_choice() -> None:
    assert surest_choice([]) is None
    found = surest_choice([choice("a", "bar", 0.3), choice("b", "sea", 0.5), choice("c", "bar", 0.5)])
    assert found is not None
    assert (found.model, found.score) == ("b", Score(Label("sea", "sea"), 0.5))


def test_an_uncalibrated_score_does_not_beat_a_calibrated_one() -> None:
    bold, loud = choice("bold", "bar", 0.99, calibrated=False), choice("loud", "bar", 0.999, calibrated=False)
    found = surest_choice([bold, choice("sober", "sea", 0.4), loud])
    assert found is not None
    assert found.model == "sober"
    found = surest_choice([bold, loud])
    assert found is not None
    assert found.model == "loud"
