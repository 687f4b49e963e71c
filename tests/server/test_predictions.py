"""What the API answers is what the library says, in the form that it promises."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

import veduta
from veduta.images.samples import SAMPLES
from veduta.labels.translations import name_of
from veduta.server.schema import AnswerOut, BatchOut

from .conftest import photo
from .running import Running


def ask(client: httpx2.Client, data: bytes, **query: Any) -> dict[str, Any]:
    response = client.post("/v1/predictions", params=query, files={"file": ("photo.jpg", data)})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    AnswerOut.model_validate(answer)
    return answer


def test_an_answer_is_what_the_library_says(client: httpx2.Client, jpeg: bytes) -> None:
    prediction = veduta.load(attributes=True).predict(jpeg)
    answer = ask(client, jpeg)
    (said,) = answer["predictions"]
    assert said["model"] == {
        "name": "places100",
        "bundle_id": prediction.bundle_id,
        "precision": "float32",
    }
    assert [score["id"] for score in said["scores"]] == [score.label.id for score in prediction.scores]
    assert [score["probability"] for score in said["scores"]] == pytest.approx(
        [score.probability for score in prediction.scores], abs=1e-6
    )
    assert prediction.environment is not None
    assert said["environment"]["kind"] == prediction.environment.kind
    assert prediction.coarse is not None
    assert [each["id"] for each in said["coarse"]] == [score.label.id for score in prediction.coarse]
    assert all("ancestors" in each for each in said["coarse"])
    assert prediction.attributes is not None
    assert {(each["id"], each["source"]) for each in said["attributes"]} == {
        (each.label.id, each.source) for each in prediction.attributes
    }
    assert said["calibrated"]
    assert answer["photo"] == {"name": "photo.jpg", "format": "JPEG", "width": 640, "height": 480, "marks": []}
    assert answer["version"] == veduta.__version__


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_answered(client: httpx2.Client, kind: str) -> None:
    assert ask(client, photo(kind=kind))["photo"]["format"] == kind


@pytest.mark.parametrize("top_k", [1, 5, 20, 21, 100])
def test_as_many_labels_are_told_as_were_asked_for(client: httpx2.Client, jpeg: bytes, top_k: int) -> None:
    (said,) = ask(client, jpeg, top_k=top_k)["predictions"]
    assert len(said["scores"]) == top_k
    found = [score["probability"] for score in said["scores"]]
    assert found == sorted(found, reverse=True)
    if top_k == 100:
        assert sum(found) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("language", ["en", "de", "ru", "pt", "zh"])
def test_names_are_in_the_language_and_ids_in_none(client: httpx2.Client, jpeg: bytes, language: str) -> None:
    (said,) = ask(client, jpeg, language=language)["predictions"]
    labels = {label.id: label for label in veduta.load().labels}
    assert [score["name"] for score in said["scores"]] == [
        name_of(labels[score["id"]], language) for score in said["scores"]
    ]


def test_a_heat_map_covers_the_photo_and_explains_what_was_asked(client: httpx2.Client, jpeg: bytes) -> None:
    (said,) = ask(client, jpeg, heatmap=True)["predictions"]
    (heat_map,) = said["heatmaps"]
    assert heat_map["id"] == said["scores"][0]["id"]
    kind, _, data = heat_map["image"].partition(",")
    assert kind == "data:image/webp;base64"
    layer = Image.open(io.BytesIO(base64.b64decode(data)))
    assert layer.mode == "RGBA"
    assert layer.width / layer.height == pytest.approx(640 / 480, abs=0.02)
    (said,) = ask(client, jpeg, explain=["kitchen", "coast"])["predictions"]
    assert [each["id"] for each in said["heatmaps"]] == ["kitchen", "coast"]


def test_attributes_can_be_left_out(client: httpx2.Client, jpeg: bytes) -> None:
    (said,) = ask(client, jpeg, attributes=False)["predictions"]
    assert "attributes" not in said


def test_a_photo_that_shows_no_place_is_told_to_fit_nothing(client: httpx2.Client, noise: bytes) -> None:
    (said,) = ask(client, noise)["predictions"]
    assert said["evidence"]["fits"] is False
    assert said["evidence"]["reason"]


@pytest.mark.parametrize("sample", [sample.id for sample in SAMPLES])
def test_every_sample_is_listed_shown_and_answered(client: httpx2.Client, sample: str) -> None:
    listed = {each["id"]: each for each in client.get("/v1/samples").json()["samples"]}
    for kind in ("image", "thumbnail"):
        picture = client.get(listed[sample][kind])
        assert picture.headers["content-type"].startswith("image/")
        Image.open(io.BytesIO(picture.content)).load()
    assert max(Image.open(io.BytesIO(client.get(listed[sample]["thumbnail"]).content)).size) == 320
    response = client.post("/v1/predictions", data={"sample": sample})
    assert response.status_code == 200
    assert response.json()["photo"]["width"] > 0


def test_all_models_answer_side_by_side_and_together(client: httpx2.Client, server: Running, jpeg: bytes) -> None:
    answer = ask(client, jpeg, models="all", top_k=100)
    names = [each["model"]["name"] for each in answer["predictions"]]
    assert names == ["corner", "places100", "places365-squeezenet"]
    assert answer["failures"] == []
    comparison = answer["comparison"]
    assert comparison["apart"] == ["corner"]
    (group,) = comparison["groups"]
    assert (group["basis"], group["models"]) == ("coarse", ["places100", "places365-squeezenet"])
    assert group["weights"] == [0.5, 0.5]
    assert group["surest"]["model"] in group["models"]
    assert {model for vote in group["votes"] for model in vote["models"]} <= set(group["models"])


def test_the_average_is_that_of_the_hand(client: httpx2.Client, store: Path, jpeg: bytes) -> None:
    taggers = [veduta.load(), veduta.load(store / "models" / "places365-squeezenet")]
    # Photos are shrunk on load to what the largest input needs, so both are asked through the same decoding.
    from veduta.images.decode import decode

    decoded = decode(jpeg, [tagger.preprocessing for tagger in taggers])
    rows: list[dict[str, float]] = []
    for place, tagger in enumerate(taggers):
        whole = tagger.predict_photos([decoded], place)[0].probabilities
        assert whole is not None
        row: dict[str, float] = {}
        for label, probability in zip(tagger.labels, whole.astype(np.float64), strict=True):
            if label.coarse is not None:
                row[label.coarse] = row.get(label.coarse, 0.0) + float(probability)
        rows.append(row)
    answer = ask(client, jpeg, models="places100,places365-squeezenet", top_k=100)
    (group,) = answer["comparison"]["groups"]
    assert len(group["coarse"]) >= 20
    for each in group["coarse"]:
        by_hand = sum(row.get(each["id"], 0.0) for row in rows) / 2
        assert each["probability"] == pytest.approx(by_hand, abs=1e-6)


def test_a_model_that_fails_leaves_a_partial_answer(client: httpx2.Client, store: Path, jpeg: bytes) -> None:
    broken = store / "models" / "broken"
    broken.mkdir()
    try:
        for name in ("model.json", "README.md"):
            (broken / name).write_bytes((store / "models" / "corner" / name).read_bytes())
        (broken / "model.onnx").write_bytes(b"nothing of the kind")
        answer = ask(client, jpeg, models="all")
        assert [each["model"] for each in answer["failures"]] == ["broken"]
        assert answer["failures"][0]["code"] == "model_unusable"
        assert str(store) not in answer["failures"][0]["detail"]
        assert len(answer["predictions"]) == 3
        alone = client.post("/v1/predictions", params={"models": "broken"}, files={"file": jpeg})
        assert alone.status_code == 500
        assert alone.json()["code"] == "model_unusable"
    finally:
        for file in broken.iterdir():
            file.unlink()
        broken.rmdir()


def test_a_bar_graph_is_drawn_for_who_asks_for_a_picture(client: httpx2.Client, jpeg: bytes) -> None:
    from veduta.reports import bars

    response = client.post("/v1/predictions", files={"file": jpeg}, headers={"Accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    drawn = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))
    assert np.array_equal(drawn, np.asarray(bars(veduta.load().predict(jpeg))))
    for accept in ("*/*", "application/json", "image/*,*/*", "image/png;q=0.5, application/json", "text/html"):
        response = client.post("/v1/predictions", files={"file": jpeg}, headers={"Accept": accept})
        assert response.headers["content-type"] == "application/json", accept


def test_a_batch_is_answered_in_order_and_a_bad_photo_spoils_none(client: httpx2.Client, jpeg: bytes) -> None:
    files = [
        ("files", ("one.jpg", jpeg)),
        ("files", ("two.txt", b"no photo")),
        ("files", ("three.png", photo(80, 60, "PNG"))),
    ]
    response = client.post("/v1/predictions/batch", files=files)
    assert response.status_code == 200
    batch = response.json()
    BatchOut.model_validate(batch)
    assert [each["name"] for each in batch["results"]] == ["one.jpg", "two.txt", "three.png"]
    assert batch["results"][0]["answer"]["photo"]["width"] == 640
    assert batch["results"][1]["problem"]["code"] == "unsupported_format"
    assert batch["results"][2]["answer"]["photo"]["width"] == 80


def test_where_and_when_a_photo_was_taken_is_not_echoed(client: httpx2.Client) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2031:05:04 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.0), 3: "E", 4: (11.0, 34.0, 30.0)})
    file = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(file, "JPEG", exif=exif)
    prediction = veduta.load().predict(file.getvalue())
    assert prediction.facts.position is not None
    response = client.post("/v1/predictions", files={"file": ("here.jpg", file.getvalue())})
    assert "position" not in response.text
    assert "48." not in response.text.partition('"timings"')[0].partition('"predictions"')[0]
    assert "2031" not in response.text


def test_nothing_of_an_upload_stays_on_the_disk(
    client: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Above a megabyte a form's file goes to the disk.
    large = photo(2400, 1800, "BMP")
    response = client.post("/v1/predictions", files={"file": ("large.bmp", large)})
    assert response.status_code == 200
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_the_photo_comes_where_it_was_asked_for(client: httpx2.Client) -> None:
    photo_out = ask(client, photo(2000, 1500, "TIFF"), preview=True)["photo"]
    kind, _, data = photo_out["preview"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (1024, 768)
    assert "preview" not in ask(client, photo())["photo"]
