from __future__ import annotations

from typing import Any

import pytest

from veduta.cli.table import TerminalTable
from veduta.jobs.rows import Result


def row(fits: bool | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "path": "photo.jpg",
        "scores": [
            {"id": "coffee_shop", "name": "coffee shop", "probability": 0.97},
            {"id": "bar", "name": "bar", "probability": 0.02},
        ],
        "coarse": [{"id": "cafe", "name": "café", "probability": 0.98}],
        "environment": {"kind": "indoor", "outdoor_probability": 0.1, "outdoor_vote": 0.0, "margin": 0.8},
    }
    if fits is not None:
        made["evidence"] = {"value": 31.0, "threshold": 33.0, "fits": fits, "reason": "it is a drawing"}
    return made


def printed(capsys: pytest.CaptureFixture[str], *rows: dict[str, Any]) -> str:
    table = TerminalTable()
    for each in rows:
        table.write(Result(each))
    table.finish()
    return capsys.readouterr().out


@pytest.mark.parametrize("fits", [True, None])
def test_what_fits_is_told_with_kind_of_place_and_environment(
    capsys: pytest.CaptureFixture[str], fits: bool | None
) -> None:
    said = printed(capsys, row(fits))
    assert "café" in said
    assert "indoor 90%" in said
    assert "coffee shop 97%, bar 2%" in said


def test_where_nothing_fits_only_the_nearest_scenes_are_told_and_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, row(False))
    assert "nothing fits" in said
    assert "nearest: coffee shop 97%, bar 2%" in said
    assert "café" not in said
    assert "indoor" not in said


ATTRIBUTES = [
    {"id": "trees", "name": "trees", "probability": 0.75, "source": "photo"},
    {"id": "farming", "name": "farming", "probability": 0.25, "source": "scene"},
]


def test_attributes_are_told_where_they_were_asked_for_with_what_the_photo_had_no_say_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = printed(
        capsys, row(True) | {"attributes": ATTRIBUTES}, {"path": "b.jpg", "error": "CorruptPhoto", "message": "cut"}
    )
    assert "attributes" in said
    assert "trees 75%, farming 25% (by scene)" in " ".join(said.split())
    assert "attributes" not in printed(capsys, row(True))


def test_where_nothing_fits_attributes_would_be_guesses(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, row(False) | {"attributes": ATTRIBUTES}, row(True) | {"attributes": []})
    assert "trees" not in said


def test_each_of_several_models_tells_its_own_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    models = {"telling": row(True) | {"attributes": ATTRIBUTES[:1]}, "silent": row(True)}
    said = printed(capsys, {"path": "photo.jpg", "models": models, "combined": {"basis": "coarse"}})
    lines = [line for line in said.splitlines() if "telling" in line or "silent" in line]
    assert ["trees 75%" in line for line in lines] == [True, False]
