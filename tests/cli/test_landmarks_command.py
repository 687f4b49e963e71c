"""``veduta landmarks``, as a user gives it, with the bundled model's embedding."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from veduta.cli.main import app
from veduta.errors import UsageError, VedutaError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path / "cache"))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return invoke


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A striped place and a chequered one, six photos each, and eight of noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:160, 0:160]
    for name, count in (("striped", 6), ("chequered", 6), ("noise", 8)):
        (tmp_path / name).mkdir()
        for number in range(count):
            shift = int(random.integers(0, 12))
            pattern = {
                "striped": ((columns + shift) // 12) % 2 * 200,
                "chequered": (((columns + shift) // 40 + rows // 40) % 2) * 200,
                "noise": random.integers(0, 255, (160, 160)),
            }[name]
            colours = np.stack([pattern, pattern * 0.6, 255 - pattern], axis=2) + random.normal(0, 12, (160, 160, 3))
            Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(tmp_path / name / f"{number}.jpg")
    return tmp_path


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


def enrol_both(run: Run, photos: Path) -> None:
    for name in ("striped", "chequered"):
        some = [photos / name / f"{number}.jpg" for number in range(4)]
        done = run("landmarks", "enroll", name, *some, "--city", "Porto", "--position", "41.15,-8.61")
        assert done.exit_code == 0, done.output


def test_a_landmark_is_enrolled_listed_named_in_photos_and_removed(run: Run, photos: Path) -> None:
    enrol_both(run, photos)
    listed = run("landmarks", "list")
    assert "2 landmarks" in listed.output
    assert "a guess" in listed.output
    assert run("landmarks", "calibrate", photos / "noise").exit_code == 0
    out = photos / "out.jsonl"
    tagged = run("tag", photos / "striped" / "5.jpg", "--landmarks", "--out", out, "--quiet")
    assert tagged.exit_code == 0, tagged.output
    landmark = json.loads(out.read_text())["landmark"]
    assert landmark["id"] == "striped/porto"
    assert landmark["candidates"][0]["city"] == "Porto"
    assert len(landmark["references"]) == 3
    assert run("landmarks", "remove", "striped").exit_code == 0
    run("tag", photos / "striped" / "5.jpg", "--landmarks", "--out", out, "--quiet")
    assert json.loads(out.read_text())["landmark"]["id"] != "striped/porto"


def test_every_output_tells_the_landmark(run: Run, photos: Path) -> None:
    enrol_both(run, photos)
    for ending in ("csv", "parquet"):
        out = photos / f"out.{ending}"
        assert run("tag", photos / "chequered", "--landmarks", "--out", out, "--quiet").exit_code == 0
    rows = read_rows(photos / "out.csv")
    assert {row["landmark_name"] for row in rows} == {"chequered"}
    assert all(float(row["landmark_similarity"]) >= float(row["landmark_threshold"]) for row in rows)
    pq = pytest.importorskip("pyarrow.parquet")
    assert pq.read_table(photos / "out.parquet")["landmark"][0].as_py()["id"] == "chequered/porto"
    table = run("tag", photos / "chequered" / "0.jpg", "--landmarks", "--quiet")
    assert "chequered" in table.output


def test_it_is_judged_on_photos_that_it_has_not_seen(run: Run, photos: Path) -> None:
    enrol_both(run, photos)
    test = photos / "test"
    for name in ("striped", "chequered"):
        (test / name).mkdir(parents=True)
        for number in (4, 5):
            (photos / name / f"{number}.jpg").rename(test / name / f"{number}.jpg")
    figures = photos / "figures.json"
    for name in ("striped", "chequered"):
        (test / name).rename(test / f"{name}-somewhere")
    done = run("landmarks", "evaluate", test, "--others", photos / "noise")
    assert "no landmark of the index" in str(done.exception)
    for name in ("striped", "chequered"):
        (test / f"{name}-somewhere").rename(test / name)
    done = run("landmarks", "evaluate", test, "--others", photos / "noise", "--json", figures, "--few", "striped")
    assert done.exit_code == 0, done.output
    told = json.loads(figures.read_text())
    assert told["photos"]["closed_set"]["value"] == 1
    assert told["photos"]["others"]["count"] == 8
    assert set(told["enrolled_from"]) == {"1", "3", "5"}
    searched = run("landmarks", "evaluate", test, "--preset", "search", "--quiet", "--json", figures)
    assert searched.exit_code == 0
    assert "others" not in json.loads(figures.read_text())["photos"]


def test_the_table_is_exported_with_vectors_where_they_are_asked_for(run: Run, photos: Path) -> None:
    enrol_both(run, photos)
    assert run("landmarks", "export", "--out", photos / "t.csv").exit_code == 0
    rows = read_rows(photos / "t.csv")
    assert [(row["id"], row["photos"]) for row in rows] == [("striped/porto", "4"), ("chequered/porto", "4")]
    assert run("landmarks", "export", "--out", photos / "t.json", "--vectors").exit_code == 0
    told = json.loads((photos / "t.json").read_text())
    assert len(told["landmarks"][0]["vectors"]) == 4
    assert len(told["landmarks"][0]["vectors"][0]) == told["size"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("landmarks", "list"), "no such index"),
        (("tag", ".", "--landmarks"), "no such index"),
        (("landmarks", "enroll", "a", "striped", "--position", "north"), "can't be meant"),
        (("landmarks", "enroll", "a", "striped", "--position", "91,0"), "out of range"),
        (("landmarks", "enroll", " ", "striped"), "can't be meant"),
        (("landmarks", "evaluate", "striped", "--preset", "moon"), "not known"),
        (("landmarks", "export", "--out", "t.txt"), "as .csv or .json"),
    ],
)
def test_what_can_not_be_meant_gets_a_sentence(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(photos)
    done = run(*arguments)
    assert isinstance(done.exception, VedutaError)
    assert words in str(done.exception)
    assert not (photos / "home" / "landmarks").exists()


def test_a_first_enrolment_that_fails_leaves_no_index_behind(run: Run, photos: Path) -> None:
    (photos / "text.jpg").write_text("no photo")
    done = run("landmarks", "enroll", "a", photos / "text.jpg")
    assert isinstance(done.exception, UsageError)
    assert not list((photos / "home").rglob("*.landmarks"))


def test_an_index_that_somebody_else_filled_meanwhile_stays(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veduta.workflows import landmarks

    index = tmp_path / "shared.landmarks"

    def seen_meanwhile(*_given: object, **_named: object) -> None:
        monkeypatch.undo()
        landmarks.enrol_photos(index, landmarks.new_landmark("striped"), [str(photos / "striped" / "0.jpg")])
        raise UsageError("no photo can be used.")

    monkeypatch.setattr(landmarks, "see_photos", seen_meanwhile)
    with pytest.raises(UsageError, match="no photo"):
        landmarks.enrol_photos(index, landmarks.new_landmark("chequered"), [str(photos / "chequered")])
    assert [each.id for each in landmarks.IndexFile(index).landmarks()] == ["striped"]


def test_two_folders_of_one_name_are_not_put_together_unasked(photos: Path, tmp_path: Path) -> None:
    from veduta.recognition.landmarks.recogniser import PhotoEmbedder
    from veduta.workflows.landmarks import build_index

    (tmp_path / "data").mkdir()
    (photos / "striped").rename(tmp_path / "data" / "Sao Bento")
    (photos / "chequered").rename(tmp_path / "data" / "São-Bento")
    with pytest.raises(UsageError, match="would both be sao_bento"):
        build_index(tmp_path / "made.landmarks", tmp_path / "data", PhotoEmbedder.load("places100"), [])


def test_an_index_of_the_working_folder_can_be_read_again(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veduta.recognition.landmarks.recogniser import PhotoEmbedder
    from veduta.workflows.landmarks import build_index

    (photos / "noise").rename(tmp_path.parent / f"{tmp_path.name}-noise")
    monkeypatch.chdir(photos)
    index = build_index(tmp_path / "made.landmarks", Path(), PhotoEmbedder.load("places100"), [])
    assert sorted(each.name for each in index.file.landmarks()) == ["chequered", "striped"]
    index.close()


def test_a_folder_is_a_landmarks_by_its_name_where_the_id_has_a_city(run: Run, photos: Path, tmp_path: Path) -> None:
    enrol_both(run, photos)
    figures = tmp_path / "figures.json"
    (tmp_path / "test").mkdir()
    (photos / "striped").rename(tmp_path / "test" / "striped")
    done = run("landmarks", "evaluate", tmp_path / "test", "--json", figures)
    assert done.exit_code == 0, done.output
    assert json.loads(figures.read_text())["photos"]["landmarks"]["count"] == 6


def test_the_wanted_rate_stays_when_more_photos_are_judged_by(run: Run, photos: Path) -> None:
    enrol_both(run, photos)
    assert run("landmarks", "calibrate", photos / "noise", "--false-alarms", "0.2").exit_code == 0
    assert run("landmarks", "calibrate", photos / "noise").exit_code == 0
    assert "20.00%" in run("landmarks", "list").output or "a guess" in run("landmarks", "list").output


def test_an_index_that_can_not_be_made_anew_stays_and_who_reads_it_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veduta.recognition.landmarks.index import LandmarkIndex
    from veduta.recognition.landmarks.recogniser import PhotoEmbedder
    from veduta.workflows import landmarks

    (tmp_path / "data").mkdir()
    (photos / "striped").rename(tmp_path / "data" / "striped")
    path, embedder = tmp_path / "made.landmarks", PhotoEmbedder.load("places100")
    reader = landmarks.build_index(path, tmp_path / "data", embedder, [])
    (photos / "chequered").rename(tmp_path / "data" / "chequered")
    with monkeypatch.context() as broken:
        broken.setattr(landmarks, "put_in_place", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            landmarks.build_index(path, tmp_path / "data", embedder, [])
    assert [each.id for each in LandmarkIndex.open(path).file.landmarks()] == ["striped"]
    assert sorted(each.name for each in tmp_path.glob("*.landmarks*")) == ["made.landmarks"]
    landmarks.build_index(path, tmp_path / "data", embedder, []).close()
    assert [each.id for each in reader.file.landmarks()] == ["striped"], "who had it open keeps what it had"
    assert len(LandmarkIndex.open(path)) == 2
