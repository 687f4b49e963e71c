"""Which models can be asked, and that one that is added shows up at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx2
import pytest

from veduta.server.schema import ModelPageOut, ModelsOut

from .running import Running


def names(client: httpx2.Client) -> list[str]:
    listed = client.get("/v1/models").json()
    ModelsOut.model_validate(listed)
    return [each["name"] for each in listed["models"]]


def test_models_are_listed_with_what_they_can(client: httpx2.Client) -> None:
    listed = client.get("/v1/models").json()
    assert listed["default"] == "places100"
    models = {each["name"]: each for each in listed["models"]}
    assert models["places100"]["labels"] == 100
    assert models["places100"]["attributes"]
    assert models["places100"]["evidence"]
    assert models["places365-squeezenet"]["heatmaps"] == "class maps"
    assert models["corner"]["heatmaps"] == "occlusion"
    assert models["places100"]["metrics"][0]["count"] == 4000


def test_a_model_has_a_page_with_its_card_and_its_labels(client: httpx2.Client) -> None:
    page = client.get("/v1/models/places100", params={"language": "de"}).json()
    ModelPageOut.model_validate(page)
    assert page["card"].startswith("#")
    kitchen = next(each for each in page["all_labels"] if each["id"] == "kitchen")
    assert kitchen == {"id": "kitchen", "name": "Küche", "environment": "indoor", "coarse": "kitchen"}


def test_a_model_that_is_added_replaced_or_removed_is_noticed(client: httpx2.Client, store: Path, jpeg: bytes) -> None:
    added = store / "models" / "added"
    try:
        shutil.copytree(store / "models" / "corner", added)
        assert "added" in names(client)
        first = client.post("/v1/predictions", params={"models": "added"}, files={"file": jpeg})
        assert first.status_code == 200
        description = json.loads((added / "model.json").read_text())
        description["heads"][0] |= {"temperature": 2.0, "calibrated": True}
        (added / "model.json").write_text(json.dumps(description))
        second = client.post("/v1/predictions", params={"models": "added"}, files={"file": jpeg})
        assert second.status_code == 200
        (before,), (after,) = first.json()["predictions"], second.json()["predictions"]
        assert after["model"]["bundle_id"] != before["model"]["bundle_id"]
        assert after["model"]["name"] == "added"
        assert after["calibrated"]
    finally:
        shutil.rmtree(added)
    assert "added" not in names(client)
    assert client.post("/v1/predictions", params={"models": "added"}, files={"file": jpeg}).status_code == 404


def test_a_model_that_cant_be_read_is_listed_with_the_reason_and_no_path(client: httpx2.Client, store: Path) -> None:
    broken = store / "models" / "broken"
    broken.mkdir()
    try:
        (broken / "model.json").write_text("{")
        listed = {each["name"]: each for each in client.get("/v1/models").json()["models"]}
        assert listed["broken"]["problem"]
        assert str(store) not in json.dumps(listed)
        assert client.get("/v1/models/broken").status_code == 500
    finally:
        shutil.rmtree(broken)


def test_only_the_models_that_were_allowed_can_be_asked(jpeg: bytes) -> None:
    with Running(models="places100") as server, server.client() as client:
        assert names(client) == ["places100"]
        response = client.post("/v1/predictions", params={"models": "corner"}, files={"file": jpeg})
        assert response.status_code == 404
        assert response.json()["choices"] == ["places100"]


def test_models_come_and_go_within_the_memory_budget(store: Path, jpeg: bytes) -> None:
    with Running(memory_mb=140) as server, server.client() as client:
        for name in ("places100", "places365-squeezenet", "corner", "places100"):
            response = client.post("/v1/predictions", params={"models": name}, files={"file": jpeg})
            assert response.status_code == 200, response.text
            held = {model.name: model.bytes for model in server.house.cache.loaded()}
            assert name in held
            assert sum(held.values()) <= 140 * 2**20
            assert not {"places100", "places365-squeezenet"} <= set(held), "both do not fit"
        response = client.post("/v1/predictions", params={"models": "all"}, files={"file": jpeg})
        assert response.status_code == 200
        assert len(response.json()["predictions"]) == 3
        assert response.json()["failures"] == []


def test_a_default_model_that_is_not_there_stops_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    from veduta.server.house import House
    from veduta.server.metrics import Metrics
    from veduta.server.problems import ProblemError
    from veduta.server.settings import Settings

    with pytest.raises(ProblemError, match="places100"):
        House.open(Settings.read(default_model="none"), Metrics())
