"""What a job's answers depend on where several models answer together."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from veduta.images.decode import Limits
from veduta.jobs.plan import Options, make_plan
from veduta.models.ensemble_weights import EnsembleWeights, Member, drop_weights, keep_weights


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))


def test_answers_depend_on_the_weights_of_their_models_and_on_no_others(made: ModuleType) -> None:
    def answers_as(*names: str, **changes: object) -> str:
        asked = [made.MadeTagger(name=name, **changes) for name in names]
        return make_plan(asked, Limits(), Options()).answers_as

    asked = [("a",), ("a", "b"), ("b", "a"), ("a", "c"), ("a", "b", "c")]
    before = [answers_as(*names) for names in asked]
    dropped = answers_as("a", "b", drop=("bar",))
    learnt = EnsembleWeights("labels", (Member("a", "id-a", 0.75), Member("b", "id-b", 0.25)), "album", 99, 1.0, 0.9)
    keep_weights(learnt)
    after = [answers_as(*names) for names in asked]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False, True, True]
    assert answers_as("a", "b", drop=("bar",)) == dropped
    keep_weights(EnsembleWeights("labels", (Member("a", "id-a", 0.5), Member("b", "id-b", 0.5)), "b", 99, 1.0, 0.9))
    assert answers_as("a", "b") not in (before[1], after[1])
    assert drop_weights(["id-a", "id-b"], "labels")
    assert [answers_as(*names) for names in asked] == before
