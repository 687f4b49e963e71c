"""What the client asks, and what it makes of the answers."""

from __future__ import annotations

import io
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import veduta
from veduta.client import Answer, Client, HeatMap, ReferencePicture
from veduta.errors import ApiError, UsageError, VedutaError
from veduta.records import (
    Attribute,
    Candidate,
    Environment,
    Evidence,
    Facts,
    Failure,
    Label,
    Landmark,
    LandmarkAnswer,
    Prediction,
    Score,
)

from .fake_server import ANSWER, BARE, Asked, FakeServer, Said, problem, says


def test_a_photo_becomes_the_records_that_a_local_model_gives(server: FakeServer, client: Client) -> None:
    answer = client.predict(b"photo", language="de", heatmap=True)
    facts = Facts("JPEG", 640, 480, marks=("cut off",))
    assert answer.predictions == (
        Prediction(
            model="places100",
            bundle_id="b1",
            precision="float32",
            facts=facts,
            crop=(80.0, 0.0, 560.0, 480.0),
            scores=(Score(Label("kitchen", "Küche", "indoor", "kitchen"), 0.91), Score(Label("bar", "Bar"), 0.04)),
            calibrated=True,
            coarse=(Score(Label("kitchen", "Küche"), 0.93),),
            environment=Environment("indoor", 0.02, 0.1),
            attributes=(Attribute(Label("wood", "Holz"), 0.7, "photo"),),
            evidence=Evidence(1.2, -3.0, True),
        ),
    )
    assert answer.heatmaps == (HeatMap("places100", Label("kitchen", "Küche"), 0.91, "class maps", b"RIFF"),)
    assert (answer.id, answer.version, answer.language, answer.photo) == ("5b1f", "0.1.0", "de", facts)
    assert answer.failures == ({"model": "mine", "code": "model_unusable", "detail": "The model mine can't be used."},)
    assert answer.comparison == {"groups": [], "apart": ["mine"]}
    tower = Landmark("tower/porto", "Turm", "Porto", (41.1, -8.6))
    reason = "it resembles Halle by 0.39, and 0.40 is needed"
    refused = Candidate(Landmark("hall", "Halle"), 0.39, 0.4, "similarity", reason)
    assert answer.landmark == LandmarkAnswer(tower, (Candidate(tower, 0.7, 0.4), refused), 0.31, (), "mine", "e1")
    assert answer.references == (ReferencePicture(0.8, b"\xff\xd8\xff"), ReferencePicture(0.6, None))
    assert answer.timings["total"] == 12.0
    assert answer.raw == ANSWER


def test_what_a_model_does_not_tell_is_left_out(server: FakeServer, client: Client) -> None:
    server.answers = [says(BARE)]
    answer = client.predict(b"photo")
    (prediction,) = answer.predictions
    absent = (prediction.coarse, prediction.environment, prediction.attributes, prediction.evidence)
    assert absent == (None, None, None, None)
    assert (answer.heatmaps, answer.failures, answer.comparison) == ((), (), None)
    assert (answer.landmark, answer.references) == (None, ())
    assert prediction.fits


def test_an_answer_can_be_drawn_as_a_local_prediction(client: Client) -> None:
    from veduta.reports import bars

    assert bars(client.predict(b"photo").predictions[0], "de").size == (960, 600)


def test_the_made_answers_are_those_of_the_api() -> None:
    pytest.importorskip("pydantic", reason="the extra server is not installed")
    from veduta.server.schema import AnswerOut

    for values in (ANSWER, BARE):
        AnswerOut.model_validate(values)


def test_a_newer_server_may_tell_more(server: FakeServer, client: Client) -> None:
    server.answers = [says(ANSWER | {"mood": {"kind": "calm"}})]
    assert client.predict(b"photo").raw["mood"] == {"kind": "calm"}


def test_all_that_can_be_asked_stands_in_the_query(server: FakeServer, client: Client) -> None:
    client.predict(
        b"photo", models=["a", "b"], top_k=3, heatmap=True, explain=["church/outdoor"], attributes=False, language="ru"
    )
    client.predict(b"photo", models="all", explain="bar")
    first, second = (asked.query for asked in server.asked)
    assert first == {
        "models": ["a", "b"],
        "top_k": ["3"],
        "heatmap": ["true"],
        "explain": ["church/outdoor"],
        "attributes": ["false"],
        "language": ["ru"],
    }
    assert second["models"] == ["all"]
    assert second["explain"] == ["bar"]
    assert [(asked.method, asked.path) for asked in server.asked] == [("POST", "/v1/predictions")] * 2


def test_a_file_goes_as_it_is_under_its_name_alone(server: FakeServer, client: Client, tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(5000)
    path = tmp_path / "Küche 1.jpg"
    path.write_bytes(content)
    client.predict(path)
    client.predict(str(path))
    client.predict(content)
    assert [asked.files for asked in server.asked] == [
        [("file", "Küche 1.jpg", content)],
        [("file", "Küche 1.jpg", content)],
        [("file", "photo", content)],
    ]


def test_an_address_and_a_sample_go_as_fields_without_a_file(server: FakeServer, client: Client) -> None:
    client.predict(url="https://example.org/a b.jpg?c=1&d=2")
    client.predict(sample="china")
    assert [asked.fields for asked in server.asked] == [
        {"url": "https://example.org/a b.jpg?c=1&d=2"},
        {"sample": "china"},
    ]
    assert server.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_exactly_one_photo_is_asked_about(client: Client) -> None:
    with pytest.raises(UsageError, match="none was given"):
        client.predict()
    with pytest.raises(UsageError, match="photo and url was given"):
        client.predict(b"photo", url="https://example.org/a.jpg")
    with pytest.raises(UsageError, match="url and sample"):
        client.bars(url="https://example.org/a.jpg", sample="china")


def test_the_key_and_the_name_of_the_client_are_sent(server: FakeServer) -> None:
    with Client(server.url + "/", api_key="secret-1") as client:
        client.predict(b"photo")
        assert "secret-1" not in repr(client)
    (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer secret-1"
    assert asked.headers["user-agent"] == f"Veduta/{veduta.__version__} (Python client)"
    assert asked.path == "/v1/predictions"


def test_a_path_of_the_address_stays_in_front(server: FakeServer) -> None:
    server.answers = [says({"default": "a", "languages": [], "models": []})]
    with Client(server.url + "/veduta/") as client:
        client.models()
    assert server.asked[0].path == "/veduta/v1/models"


def test_the_environment_changes_nothing(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(server.url) as client:
        assert client.predict(b"photo").id == "5b1f"


def test_models_and_samples_come_as_plain_values(server: FakeServer, client: Client) -> None:
    models = {"default": "a", "languages": ["en"], "models": [{"name": "a", "place": "bundled", "loaded": True}]}
    page = {"name": "a/b", "place": "store", "loaded": False, "card": "# A", "all_labels": [{"id": "x", "name": "x"}]}
    samples = {"samples": [{"id": "china", "shows": "a temple"}]}
    server.answers = [says(models), says(page), says(samples)]
    assert client.models() == models
    assert client.model("a/b") == page
    assert client.samples() == samples["samples"]
    assert [asked.path for asked in server.asked] == ["/v1/models", "/v1/models/a%2Fb", "/v1/samples"]


def test_a_bar_graph_is_a_picture(server: FakeServer, client: Client) -> None:
    file = io.BytesIO()
    Image.new("RGB", (960, 600), "white").save(file, "PNG")
    server.answers = [Said(file.getvalue(), headers={"Content-Type": "image/png"})]
    picture = client.bars(b"photo", model="mine", top_k=3, language="zh")
    assert (picture.size, picture.mode) == ((960, 600), "RGB")
    (asked,) = server.asked
    assert asked.headers["accept"] == "image/png"
    assert asked.query["models"] == ["mine"]
    assert asked.query["language"] == ["zh"]


def test_health_and_readiness_are_told_without_an_error(server: FakeServer, client: Client, waits: list[float]) -> None:
    not_ready = {"status": "not ready", "detail": "The model places100 is loading."}
    server.answers = [says({"status": "ok"}), says(not_ready, 503, retry_after="1"), says({"status": "ok"})]
    assert client.health()
    told = client.ready()
    assert not told
    assert told.detail == "The model places100 is loading."
    assert client.ready()
    assert waits == []


def _about(asked: Asked) -> Said:
    """An answer for each file; those that are called no JPEG are refused."""
    results = []
    for number, (_, name, _) in enumerate(asked.files):
        refusal = {"type": "t", "title": "t", "status": 415, "detail": "Not a photo.", "code": "unsupported_format"}
        told = {"answer": ANSWER | {"id": f"{number}"}} if name != "b.txt" else {"problem": refusal | {"id": "p"}}
        results.append({"name": name, **told})
    return says({"id": "batch", "results": results})


def test_a_batch_has_a_result_for_each_photo_in_order(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.answers = [_about]
    for name in ("a.jpg", "b.txt"):
        (tmp_path / name).write_bytes(b"content")
    gone = tmp_path / "gone.jpg"
    results = client.predict_batch([tmp_path / "a.jpg", gone, tmp_path / "b.txt", b"bytes"], models="all", top_k=2)
    first, missing, refused, last = results
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)
    assert (first.id, last.id) == ("0", "2")
    assert isinstance(missing, Failure)
    assert (missing.path, missing.error) == (str(gone), "PhotoNotFound")
    assert refused == Failure(str(tmp_path / "b.txt"), "unsupported_format", "Not a photo.")
    (asked,) = server.asked
    assert asked.path == "/v1/predictions/batch"
    assert [(field, name) for field, name, _ in asked.files] == [
        ("files", "a.jpg"),
        ("files", "b.txt"),
        ("files", "photo 4"),
    ]
    assert asked.query["models"] == ["all"]


def test_many_photos_go_in_several_requests(server: FakeServer, client: Client) -> None:
    server.answers = [_about]
    assert len(client.predict_batch([b"photo"] * 40)) == 40
    assert [len(asked.files) for asked in server.asked] == [16, 16, 8]
    assert client.predict_batch([]) == []


def test_a_batch_that_is_too_large_is_asked_in_halves(server: FakeServer, client: Client) -> None:
    def at_most_two(asked: Asked) -> Said:
        small = len(asked.files) <= 2 and all(len(content) < 100 for *_, content in asked.files)
        return _about(asked) if small else problem(413, "photo_too_large", "At most two small photos.")

    server.answers = [at_most_two]
    results = client.predict_batch([b"a", b"b", b"c" * 200, b"d", b"e"])
    assert [isinstance(each, Answer) for each in results] == [True, True, False, True, True]
    assert results[2] == Failure("photo 3", "photo_too_large", "At most two small photos.")


def test_a_refusal_is_the_servers_own_sentence(server: FakeServer, client: Client) -> None:
    server.answers = [
        problem(404, "unknown_model", "There is no model 'x'.\x1b[31m\n Choose another.", ["a", "b"]),
        problem(401, "unauthorized", "A key is needed."),
        problem(429, "rate_limited", "Too many.", retry_after="120"),
    ]
    with pytest.raises(ApiError) as unknown:
        client.predict(b"photo", models="x")
    assert str(unknown.value) == "There is no model 'x'. [31m Choose another."
    assert (unknown.value.status, unknown.value.code, unknown.value.id) == (404, "unknown_model", "p1")
    assert unknown.value.choices == ("a", "b")
    with pytest.raises(ApiError, match="A key is needed") as refused:
        client.models()
    assert (refused.value.status, refused.value.choices, refused.value.retry_after) == (401, (), None)
    with pytest.raises(VedutaError, match="Too many") as limited:
        client.predict(b"photo")
    assert isinstance(limited.value, ApiError)
    assert limited.value.retry_after == 120


def test_an_api_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ApiError("Busy.", status=503, code="queue_full", choices=("a",), id="i")))
    assert (str(error), error.status, error.code, error.choices, error.id) == ("Busy.", 503, "queue_full", ("a",), "i")


def test_a_busy_server_is_asked_again_when_it_says(server: FakeServer, client: Client, waits: list[float]) -> None:
    busy = problem(503, "queue_full", "Busy.", retry_after="1")
    server.answers = [busy, problem(429, "rate_limited", "Slower.", retry_after="7"), says(ANSWER)]
    assert client.predict(b"photo").id == "5b1f"
    assert waits == [1.0, 7.0]
    assert [asked.files for asked in server.asked] == [[("file", "photo", b"photo")]] * 3


def test_there_is_an_end_to_asking_again(server: FakeServer, client: Client, waits: list[float]) -> None:
    server.answers = [problem(503, "queue_full", "Busy.", retry_after="2")]
    with pytest.raises(ApiError, match="Busy") as error:
        client.predict(b"photo")
    assert waits == [2.0, 2.0, 2.0]
    assert error.value.retry_after == 2


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {"retry_after": "31"}), (503, {}), (429, {}), (500, {"retry_after": "1"})]
)
def test_who_asks_for_too_much_patience_is_not_waited_for(
    server: FakeServer, client: Client, waits: list[float], status: int, headers: dict[str, str]
) -> None:
    server.answers = [problem(status, "busy", "Busy.", **headers)]
    with pytest.raises(ApiError, match="Busy"):
        client.predict(b"photo")
    assert waits == []
    assert len(server.asked) == 1


def test_threads_share_a_client(server: FakeServer, client: Client) -> None:
    server.answers = [lambda asked: says(ANSWER | {"id": asked.files[0][2].decode()})]
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = client.predict(str(number).encode()).id

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) for number in range(20)}


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://example.org", "http://", "http://a b/", "http://a/?b=1", "http://a/#b", "http://a:99999",
     "http://exämple.org", "http://a/\n"],
)  # fmt: skip
def test_an_address_that_is_none_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="give one like http"):
        Client(url)


def test_secrets_are_not_shown() -> None:
    with pytest.raises(UsageError) as address:
        Client("http://me:hidden@example.org")
    assert "hidden" not in str(address.value)
    for key in ("hid den", "hidden\n", "hiddén", ""):
        with pytest.raises(UsageError) as error:
            Client(api_key=key)
        assert "hid" not in str(error.value)


@pytest.mark.parametrize("given", [{"timeout": 0}, {"timeout": float("nan")}, {"retries": -1}, {"longest_wait": -1}])
def test_numbers_that_can_not_be_meant_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        Client(**given)  # type: ignore[arg-type]
