"""Landmarks through the API and on the page: named with what they rest on, or refused, by an index that may change."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from veduta.client import Client
from veduta.errors import ApiError, IndexNotFound
from veduta.images.samples import SAMPLES
from veduta.recognition.landmarks.enrolment import new_landmark
from veduta.records import Landmark
from veduta.server.schema import AnswerOut, ModelsOut
from veduta.server.settings import Settings
from veduta.workflows.landmarks import enrol_photos, remove

from .browsing import chromium, visit
from .conftest import photo
from .running import Running

ASKED = "/v1/predictions?landmarks=true"


def parts(sample: str, folder: Path) -> list[str]:
    """Five parts of a sample picture, as five photos of one place."""
    pytest.importorskip("skimage", reason="the sample pictures are not installed")
    picture = Image.open(next(each.path for each in SAMPLES if each.id == sample)).convert("RGB")
    folder.mkdir()
    paths = []
    for number, (left, top) in enumerate(((0, 0), (0.1, 0), (0, 0.1), (0.1, 0.1), (0.05, 0.05))):
        width, height = picture.size
        box = (int(left * width), int(top * height), int((left + 0.9) * width), int((top + 0.9) * height))
        path = folder / f"secret-name-{number}.jpg"
        picture.crop(box).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def index(tmp_path: Path, _environment: pytest.MonkeyPatch) -> Path:
    """An index with the rocket's launch pad in it."""
    path = tmp_path / "mine.landmarks"
    landmark = Landmark("pad/florida", "Launch pad", "Florida", (28.6, -80.6), (("de", "Startrampe"),))
    enrol_photos(path, landmark, parts("rocket", tmp_path / "rocket"))
    return path


@pytest.fixture
def asked(index: Path) -> Iterator[Running]:
    with Running(landmarks=str(index)) as running:
        yield running


def ask(client: httpx2.Client, sample: str, query: str = "") -> dict[str, Any]:
    response = client.post(ASKED + query, data={"sample": sample})
    assert response.status_code == 200, response.text
    AnswerOut.model_validate(response.json())
    values: dict[str, Any] = response.json()
    return values


def test_a_landmark_is_named_with_pictures_and_without_paths(asked: Running) -> None:
    with asked.client() as client:
        landmark = ask(client, "rocket", "&language=de")["landmark"]
    assert (landmark["id"], landmark["name"], landmark["index"]) == ("pad/florida", "Startrampe", "mine")
    assert landmark["candidates"][0]["similarity"] >= landmark["candidates"][0]["threshold"]
    assert landmark["candidates"][0]["position"] == [28.6, -80.6]
    assert len(landmark["references"]) == 3
    for each in landmark["references"]:
        kind, _, content = each["image"].partition(",")
        assert kind == "data:image/jpeg;base64"
        assert max(Image.open(io.BytesIO(base64.b64decode(content))).size) <= 320
    assert "secret-name" not in json.dumps(landmark)


def test_a_photo_of_something_else_is_refused_and_says_why(asked: Running) -> None:
    with asked.client() as client:
        landmark = ask(client, "coffee")["landmark"]
    assert (landmark["id"], landmark["name"]) == (None, None)
    assert "is needed" in landmark["reason"]
    assert landmark["candidates"][0]["rejection"] == "similarity"


def test_where_the_photo_was_taken_has_a_say_and_is_not_told(asked: Running) -> None:
    rocket = Image.open(next(each.path for each in SAMPLES if each.id == "rocket"))
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})  # Paris
    far = io.BytesIO()
    rocket.save(far, "JPEG", exif=exif)
    with asked.client() as client:
        answer = client.post(ASKED, files={"file": far.getvalue()}).json()
    assert answer["landmark"]["candidates"][0]["rejection"] == "position"
    assert "more than 50 km" in answer["landmark"]["reason"], "how far it was would tell where"
    assert "48.8" not in json.dumps({**answer, "landmark": {**answer["landmark"], "references": []}})


def test_who_does_not_ask_gets_no_landmark(asked: Running, jpeg: bytes) -> None:
    with asked.client() as client:
        assert "landmark" not in client.post("/v1/predictions", files={"file": jpeg}).json()


def test_the_list_of_models_tells_that_landmarks_can_be_asked(asked: Running, client: httpx2.Client) -> None:
    with asked.client() as other:
        told = ModelsOut.model_validate(other.get("/v1/models").json()).landmarks
    assert told is not None
    assert (told.index, told.landmarks, told.model, told.judged_on) == ("mine", 1, "places100", 0)
    assert "landmarks" not in client.get("/v1/models").json()


def test_the_list_of_models_knows_what_was_enrolled_just_now(asked: Running, index: Path, tmp_path: Path) -> None:
    enrol_photos(index, new_landmark("Café"), parts("coffee", tmp_path / "coffee"))
    with asked.client() as client:
        assert client.get("/v1/models").json()["landmarks"]["landmarks"] == 2


def test_an_empty_setting_is_no_index() -> None:
    assert Settings.read(landmarks="").landmarks is None


def test_a_server_without_an_index_says_so(client: httpx2.Client, jpeg: bytes) -> None:
    response = client.post(ASKED, files={"file": jpeg})
    assert (response.status_code, response.json()["code"]) == (404, "no_landmarks")


def test_what_is_enrolled_or_removed_is_known_at_once(asked: Running, index: Path, tmp_path: Path) -> None:
    with asked.client() as client:
        assert ask(client, "coffee")["landmark"]["id"] is None
        enrol_photos(index, new_landmark("Café", city="Nowhere"), parts("coffee", tmp_path / "coffee"))
        assert ask(client, "coffee")["landmark"]["name"] == "Café"
        remove(index, "Café")
        assert ask(client, "coffee")["landmark"]["id"] is None
        assert ask(client, "rocket")["landmark"]["id"] == "pad/florida"


def test_an_index_that_is_replaced_under_the_server_is_read_anew(asked: Running, index: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.landmarks"
    enrol_photos(other, new_landmark("Cup"), parts("coffee", tmp_path / "cups"))
    with asked.client() as client:
        assert ask(client, "rocket")["landmark"]["id"] == "pad/florida"
        other.replace(index)
        assert ask(client, "coffee")["landmark"]["name"] == "Cup"
        assert ask(client, "rocket")["landmark"]["id"] is None


def test_a_damaged_index_costs_the_landmark_and_not_the_answer(asked: Running, index: Path) -> None:
    whole = index.read_bytes()
    with asked.client() as client:
        index.write_bytes(b"no index" * 100)
        answer = ask(client, "rocket")
        assert answer["predictions"]
        assert "landmark" not in answer
        (failure,) = answer["failures"]
        assert (failure["model"], failure["code"]) == ("landmarks", "landmarks_unusable")
        assert str(index.parent) not in failure["detail"]
        index.write_bytes(whole)
        assert ask(client, "rocket")["landmark"]["id"] == "pad/florida"


@pytest.mark.parametrize("broken", ["UPDATE landmarks SET id = char(27)", "UPDATE meta SET value = '5.0'"])
def test_what_an_index_says_wrongly_is_the_servers_fault(asked: Running, index: Path, broken: str) -> None:
    import sqlite3

    with sqlite3.connect(index) as file:
        file.execute("INSERT OR REPLACE INTO meta VALUES ('false_alarms', '0.01')")
        file.execute(broken + (" WHERE key = 'false_alarms'" if "meta" in broken else ""))
    file.close()
    with asked.client() as client:
        answer = ask(client, "rocket")
    assert [each["code"] for each in answer["failures"]] == ["landmarks_unusable"]
    assert answer["predictions"]


def test_a_hostile_thumbnail_is_not_shown(asked: Running, index: Path) -> None:
    import sqlite3

    page = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    with sqlite3.connect(index) as file:
        file.execute("UPDATE photos SET thumbnail = ?", (page,))
    file.close()
    with asked.client() as client:
        references = ask(client, "rocket")["landmark"]["references"]
    assert references
    assert all("image" not in each for each in references)


def test_a_batch_names_landmarks_too(asked: Running) -> None:
    with asked.client() as client:
        response = client.post("/v1/predictions/batch?landmarks=true", files=[("files", ("a.jpg", photo()))])
    assert response.json()["results"][0]["answer"]["landmark"]["id"] is None


def test_an_index_that_is_not_there_is_told_before_the_server_starts(tmp_path: Path) -> None:
    from veduta.server.run import serve

    with pytest.raises(IndexNotFound, match="enroll"):
        serve(Settings.read(port=0, landmarks=str(tmp_path / "none.landmarks")))


def test_the_python_client_gives_records_and_pictures(asked: Running) -> None:
    with Client(asked.url) as client:
        answer = client.predict(sample="rocket", landmarks=True)
        assert answer.landmark is not None
        assert answer.landmark.landmark == Landmark("pad/florida", "Launch pad", "Florida", (28.6, -80.6))
        assert Image.open(io.BytesIO(answer.references[0].picture or b"")).format == "JPEG"
        assert client.predict(sample="rocket").landmark is None


def test_the_python_client_tells_that_there_is_no_index(server: Running) -> None:
    with Client(server.url) as client, pytest.raises(ApiError, match="no index of landmarks"):
        client.predict(sample="rocket", landmarks=True)


def test_the_page_shows_the_landmark_with_its_reference_photos(asked: Running) -> None:
    with chromium() as browser, visit(browser, asked) as on:
        on.open("/?sample=rocket")
        on.answered()
        section = on.find("landmark")
        assert "Launch pad" in section.inner_text()
        assert section.locator("img").count() == 3
        assert section.locator("img").first.evaluate("each => each.naturalWidth") > 0
        on.open("/?sample=coffee&language=de")
        on.answered()
        refused = on.find("landmark").inner_text()
        assert "Keine, die hier bekannt ist" in refused
        assert "Launch pad" in refused or "Startrampe" in refused
