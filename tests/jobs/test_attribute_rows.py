"""Attributes in rows: there where they were asked for, under their own names, and never from another run's answers."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from veduta.images.limits import Limits
from veduta.jobs.ledger import Ledger
from veduta.jobs.pipeline import Options, tag_photos
from veduta.jobs.plan import layout_of, make_plan
from veduta.jobs.writers import open_writer


def rows_of(made: ModuleType, folder: Path, ledger: Ledger, **changes: Any) -> list[dict[str, Any]]:
    taggers: Any = [made.MadeTagger(attributes=changes.pop("attributes", False))]
    target = folder / "out.jsonl"
    sink = open_writer(target, layout_of(taggers))
    tag_photos(
        made.make_photos(folder / "photos", 3),
        taggers,
        ledger=ledger,
        sinks=[sink],
        workers=1,
        options=Options(**changes),
    )
    return [json.loads(line) for line in target.read_text().splitlines()]


def test_an_attribute_has_its_own_name_and_its_source_in_every_language(made: ModuleType, tmp_path: Path) -> None:
    with Ledger.temporary() as ledger:
        for row in rows_of(made, tmp_path, ledger, attributes=True, language="de"):
            assert [list(each) for each in row["attributes"]] == [["id", "name", "probability", "source"]] * 2
            assert row["attributes"][0]["name"] == made.ATTRIBUTES[0].name
            assert [each["source"] for each in row["attributes"]] == ["scene", "photo"]
            assert row["attributes"][1]["probability"] == 0.125
            # The scene of the same id is told in German.
            assert "where drinks" not in str(row["scores"])


def test_a_run_with_attributes_is_not_answered_by_one_without_nor_the_other_way(
    made: ModuleType, tmp_path: Path
) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        told = [
            ["attributes" in row for row in rows_of(made, tmp_path, ledger, attributes=asked)]
            for asked in (False, True, False)
        ]
    assert told == [[False] * 3, [True] * 3, [False] * 3]


def test_without_the_option_the_fingerprint_is_as_it_was(made: ModuleType) -> None:
    plain, asked = (make_plan([made.MadeTagger(attributes=each)], Limits(), Options()) for each in (False, True))
    assert plain.answers_as != asked.answers_as
    assert plain.fails_as == asked.fails_as
    assert not plain.layout.attributes
    assert asked.layout.attributes
