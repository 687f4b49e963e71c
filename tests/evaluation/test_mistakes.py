from __future__ import annotations

import numpy as np
import pytest

from veduta.evaluation.figures import judge
from veduta.evaluation.label_figures import judge_labels
from veduta.evaluation.mistakes import Mistake, surest_mistakes, worst_labels
from veduta.records import Label

LABELS = tuple(Label(name, name) for name in ("bar", "kitchen", "sea"))
SAID = np.array([[0.1, 0.9, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [0.6, 0.4, 0.0]], np.float32)
PATHS = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_mistakes_are_the_wrong_ones_by_their_probability() -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    found = surest_mistakes(judgement, PATHS)
    assert [(each.true.id, each.said.id, each.rank) for each in found] == [
        ("bar", "kitchen", 2),
        ("kitchen", "bar", 2),
        ("sea", "kitchen", 2),
    ]
    assert found[0] == Mistake("a.jpg", LABELS[0], LABELS[1], pytest.approx(0.9), pytest.approx(0.1), 2, 1)
    assert len(surest_mistakes(judgement, PATHS, 2)) == 2
    assert surest_mistakes(judge(LABELS, SAID, SAID.argmax(axis=1), "made"), PATHS) == ()
    explained = surest_mistakes(judgement, PATHS, explained=np.array([7, 8, 9, 10]))
    assert [each.explained for each in explained] == [7, 10, 8]


def test_the_worst_labels_come_with_the_photos_that_took_most_from_them() -> None:
    present = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]], bool)
    worst = worst_labels(judge_labels(LABELS, SAID, present, "made"), PATHS, worst=2, examples=1)
    assert [each.figure.label.id for each in worst] == ["bar", "kitchen"]
    assert worst[0].figure.average_precision <= worst[1].figure.average_precision < 1.0
    (have,), (lack,) = worst[0].have, worst[0].lack
    assert (have.path, have.probability, [label.id for label in have.labels]) == (
        "a.jpg",
        pytest.approx(0.1),
        ["bar"],
    )
    assert (lack.path, [label.id for label in lack.labels]) == ("d.jpg", ["kitchen"])
