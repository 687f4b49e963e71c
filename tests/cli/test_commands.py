"""The commands as a user types them, in processes of their own, with the bundled model."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import VedutaError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8)).save(folder / f"{name}.jpg")
    return folder


def veduta(*arguments: object, at: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line with its caches in ``at``."""
    environment = os.environ | {"VEDUTA_CACHE": str(at / "cache"), "VEDUTA_HOME": str(at / "home"), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, input=stdin, env=environment, timeout=120
    )


def test_tag_prints_a_table_and_leaves_with_zero(photos: Path, tmp_path: Path) -> None:
    done = veduta("tag", photos, at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "a.jpg" in done.stdout
    assert "b.jpg" in done.stdout
    assert "2 photos" in done.stderr


def test_tag_writes_what_the_suffix_says_and_the_second_run_knows_it(photos: Path, tmp_path: Path) -> None:
    assert veduta("tag", photos, "--out", tmp_path / "out.jsonl", at=tmp_path).returncode == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["a.jpg", "b.jpg"]
    assert len(rows[0]["scores"]) == 5
    assert rows[0]["environment"]["kind"] in ("indoor", "outdoor")
    again = veduta("tag", photos, "--out", tmp_path / "out.csv", at=tmp_path)
    assert "2 known from an earlier run" in again.stderr
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 3


def test_attributes_are_told_where_they_are_asked_for_and_cost_nothing_else(photos: Path, tmp_path: Path) -> None:
    plain, asked = tmp_path / "plain.jsonl", tmp_path / "asked.jsonl"
    for target, more in ((plain, ()), (asked, ("--attributes",))):
        assert veduta("tag", photos, "--out", target, "-q", *more, at=tmp_path).returncode == 0
    before, after = ([json.loads(line) for line in file.read_text().splitlines()] for file in (plain, asked))
    assert not any("attributes" in row for row in before)
    assert all(len(row["attributes"]) == 10 for row in after)
    assert [{key: value for key, value in row.items() if key != "attributes"} for row in after] == before


def test_a_list_on_standard_input_and_json_lines_on_standard_output(photos: Path, tmp_path: Path) -> None:
    done = veduta("tag", "-", "--out", "-", "--top-k", 2, at=tmp_path, stdin=f"{photos / 'b.jpg'}\n")
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row["path"].endswith("b.jpg")
    assert len(row["scores"]) == 2


def test_a_photo_that_fails_is_a_row_and_the_exit_code_says_so(photos: Path, tmp_path: Path) -> None:
    (photos / "c.jpg").write_bytes(b"<html>not found</html>")
    done = veduta("tag", photos, photos / "gone.jpg", "--out", tmp_path / "out.jsonl", at=tmp_path)
    assert done.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row.get("error") for row in rows] == [None, None, "UnsupportedFormat", "PhotoNotFound"]
    assert "2 failed" in done.stderr


def test_a_report_holds_a_page_with_heat_maps(photos: Path, tmp_path: Path) -> None:
    done = veduta("tag", photos, "--report", tmp_path / "report", "--heat-maps", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "index.html").is_file()
    assert len([*(tmp_path / "report" / "heat").rglob("*.webp")]) == 2


def test_names_come_in_the_language_asked_for_and_ids_stay(photos: Path, tmp_path: Path) -> None:
    english, german = (
        json.loads(veduta("tag", photos / "a.jpg", "--out", "-", "-l", language, at=tmp_path).stdout)
        for language in ("en", "de")
    )
    assert [s["id"] for s in english["scores"]] == [s["id"] for s in german["scores"]]
    assert [s["name"] for s in english["scores"]] != [s["name"] for s in german["scores"]]


def test_a_dropped_class_never_answers(photos: Path, tmp_path: Path) -> None:
    def top(*options: str) -> str:
        row = json.loads(veduta("tag", photos / "a.jpg", "--out", "-", *options, at=tmp_path).stdout)
        return str(row["scores"][0]["id"])

    first = top()
    assert top("--drop-class", first) != first


def test_embed_writes_a_vector_for_each_photo(photos: Path, tmp_path: Path) -> None:
    done = veduta("embed", photos, "--out", tmp_path / "e.npy", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "e.npy").shape == (2, 1280)
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == 2


def test_explain_writes_four_pictures(photos: Path, tmp_path: Path) -> None:
    done = veduta("explain", photos / "a.jpg", "--class", "kitchen", "--out", tmp_path / "why", at=tmp_path)
    assert done.returncode == 0, done.stderr
    kinds = ["original", "overlay", "segmentation", "side-by-side"]
    assert sorted(p.name for p in (tmp_path / "why").iterdir()) == sorted(f"a-{kind}.jpg" for kind in kinds)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["tag", "no-such-folder/*.jpg"], 2, "no-such-folder"),
        (["tag", "PHOTOS", "--model", "places999"], 3, "places100"),
        (["tag", "PHOTOS", "--drop-class", "kichen"], 2, "kichen"),
        (["tag", "PHOTOS", "--language", "tlh"], 2, "tlh"),
        (["tag", "PHOTOS", "--precision", "int3"], 2, "bfloat16"),
        (["tag", "PHOTOS", "--out", "tags.xlsx"], 2, "parquet"),
        (["tag", "PHOTOS", "--out", "no/such/folder/tags.csv"], 6, "folder"),
        (["tag", "PHOTOS", "--taxonomy", "none.toml"], 4, "none.toml"),
        (["tag", "PHOTOS", "--heat-maps"], 2, "--report"),
        (["explain", "PHOTOS/a.jpg", "--class", "kichen"], 2, "kitchen"),
        (["explain", "none.jpg"], 1, "none.jpg"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence_and_its_code(
    photos: Path, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    done = veduta(*(argument.replace("PHOTOS", str(photos)) for argument in arguments), at=tmp_path)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert done.stderr.startswith("veduta: ")
    assert "Traceback" not in done.stderr


def test_the_samples_are_copied_with_their_credits(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the extra samples is not installed")
    done = veduta("samples", tmp_path / "samples", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "samples" / "china.jpg").is_file()
    assert "CC0" in done.stderr


def test_every_error_has_an_exit_code_and_the_documented_one() -> None:
    from veduta.cli.exits import EXIT_CODES, exit_code

    documented = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for kind in _tree(VedutaError):
        assert exit_code(kind("made")) != 70, kind
    for code in EXIT_CODES.values():
        assert f"| {code} |" in documented


def test_every_command_has_help_and_is_in_the_docs() -> None:
    from typer.main import get_command

    from veduta.cli.main import app

    documented = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        assert f"veduta {name}" in documented


def _tree(kind: type[VedutaError]) -> list[type[VedutaError]]:
    return [found for child in kind.__subclasses__() for found in (child, *_tree(child))]
