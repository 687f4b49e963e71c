"""What can't be answered is told in a sentence with a stable code, and costs nothing afterwards."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest

from veduta.server.problems import STATUSES, TITLES
from veduta.server.schema import Problem

from .conftest import photo
from .running import Running, until


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    Problem.model_validate(told)
    assert (told["status"], told["code"]) == (status, code)
    assert told["detail"].endswith(".")
    assert told["id"] == response.headers["x-request-id"]
    return told


def test_every_code_of_the_table_has_a_title() -> None:
    assert {code for _, code in STATUSES.values()} <= set(TITLES)


def test_no_file(client: httpx2.Client) -> None:
    problem(client.post("/v1/predictions", data={"sample": ""}), 400, "photo_missing")
    problem(client.post("/v1/predictions", files={"file": ("", b"")}), 400, "photo_missing")


def test_two_files(client: httpx2.Client, jpeg: bytes) -> None:
    two = [("file", ("a.jpg", jpeg)), ("file", ("b.jpg", jpeg))]
    told = problem(client.post("/v1/predictions", files=two), 400, "photo_ambiguous")
    assert "/v1/predictions/batch" in told["detail"]
    both = client.post("/v1/predictions", files={"file": jpeg}, data={"sample": "china"})
    problem(both, 400, "photo_ambiguous")


def test_three_files(client: httpx2.Client, jpeg: bytes) -> None:
    problem(client.post("/v1/predictions", files=[("file", ("a.jpg", jpeg))] * 3), 400, "photo_ambiguous")


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "rot13", "x" * 60_000])
def test_a_charset_that_would_decode_to_what_no_json_holds(client: httpx2.Client, charset: str) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="\\ud800.jpg"\r\n\r\n\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    problem(client.post("/v1/predictions", content=form, headers={"Content-Type": kind}), 400, "form_broken")


def test_a_semicolon_in_a_name_cuts_no_sentence(client: httpx2.Client) -> None:
    told = problem(client.post("/v1/predictions", files={"file": ("a; b.jpg", b"hello")}), 415, "unsupported_format")
    assert told["detail"].startswith("a; b.jpg seems to be")


def test_decoders_that_do_not_start_are_the_servers_fault_and_tell_nothing_of_it(
    jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running() as server, server.client() as client:
        for lane in server.house.decoders._lanes:
            lane._command = ("/nowhere/a-secret-path",)
            lane.kill()
        until(lambda: not server.house.decoders.processes)
        assert client.get("/readyz").status_code == 503
        response = client.post("/v1/predictions", files={"file": jpeg})
    told = problem(response, 503, "decoders_down")
    assert "secret" not in told["detail"]
    assert response.headers["retry-after"]


def test_an_empty_file(client: httpx2.Client) -> None:
    told = problem(client.post("/v1/predictions", files={"file": ("empty.jpg", b"")}), 400, "photo_empty")
    assert "empty.jpg" in told["detail"]


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in pieces"])
def test_21_megabytes(client: httpx2.Client, server: Running, declared: bool) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="big.jpg"\r\n\r\n'
        + bytes(21 * 2**20)
        + b"\r\n--x--"
    )
    pieces: Any = body if declared else (body[at : at + 2**20] for at in range(0, len(body), 2**20))
    response = client.post(
        "/v1/predictions", content=pieces, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    told = problem(response, 413, "photo_too_large")
    assert "20 MB" in told["detail"]
    until(lambda: server.house.places.uploads == 0)


def test_a_photo_of_too_many_pixels(client: httpx2.Client) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(50_020_000))) + chunk(b"IEND", b"")
    told = problem(client.post("/v1/predictions", files={"file": ("bomb.png", bomb)}), 413, "photo_too_large")
    assert "smaller" in told["detail"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/json", b'{"sample": "china"}'), ("text/plain", b"hello"), ("image/jpeg", b"\xff\xd8"), ("", b"x")],
)
def test_a_body_that_is_no_form(client: httpx2.Client, kind: str, body: bytes) -> None:
    told = problem(
        client.post("/v1/predictions", content=body, headers={"Content-Type": kind} if kind else {}),
        415,
        "unsupported_media_type",
    )
    assert "multipart/form-data" in told["detail"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--y\r\nnothing"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--"),
        (
            "multipart/form-data; boundary=x; charset=rot13",
            b'--x\r\nContent-Disposition: form-data; name="url"\r\n\r\na\r\n--x--',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="url"\r\n\r\n' + b"a" * 9000 + b"\r\n--x--",
        ),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x"),
    ],
    ids=["no boundary", "another boundary", "no name", "a charset of letters", "a long field", "a long boundary"],
)
def test_a_broken_form(client: httpx2.Client, kind: str, body: bytes) -> None:
    response = client.post("/v1/predictions", content=body, headers={"Content-Type": kind})
    assert response.status_code in (400, 422), response.text
    problem(response, response.status_code, response.json()["code"])


def test_a_field_that_means_nothing(client: httpx2.Client) -> None:
    told = problem(client.post("/v1/predictions", data={"sample": "china", "top_k": "3"}), 400, "invalid_request")
    assert "query" in told["detail"]


def test_an_unknown_model_is_told_with_those_that_there_are(client: httpx2.Client, jpeg: bytes) -> None:
    response = client.post("/v1/predictions", params={"models": "placs100"}, files={"file": jpeg})
    told = problem(response, 404, "unknown_model")
    assert "places100" in told["detail"]
    assert "places100" in told["choices"]


@pytest.mark.parametrize(
    "name",
    ["../places100", "/etc/passwd", "..", "models/places100", "http://example.org/m", "places100%00", "C:\\m", "🙂"],
)
def test_no_route_takes_a_path_or_an_address_for_a_model(client: httpx2.Client, jpeg: bytes, name: str) -> None:
    problem(client.post("/v1/predictions", params={"models": name}, files={"file": jpeg}), 404, "unknown_model")
    assert client.get(f"/v1/models/{name.replace('/', '%2F')}").status_code in (404, 422)


@pytest.mark.parametrize(
    "query",
    [
        {"top_k": 0},
        {"top_k": 10_000},
        {"top_k": "many"},
        {"language": "xx"},
        {"heatmap": "perhaps"},
        {"explain": ["a"] * 11},
        {"models": ["a"] * 17},
        {"models": "all,places100"},
    ],
    ids=str,
)
def test_a_parameter_that_cant_be_meant(client: httpx2.Client, jpeg: bytes, query: dict[str, Any]) -> None:
    told = problem(client.post("/v1/predictions", params=query, files={"file": jpeg}), 422, "invalid_parameter")
    assert next(iter(query)) in told["detail"]


def test_a_label_that_no_model_has(client: httpx2.Client, jpeg: bytes) -> None:
    response = client.post("/v1/predictions", params={"explain": "the moon"}, files={"file": jpeg})
    problem(response, 422, "unknown_label")


def test_an_unknown_sample_is_told_with_those_that_there_are(client: httpx2.Client) -> None:
    told = problem(client.post("/v1/predictions", data={"sample": "chinna"}), 404, "unknown_sample")
    assert "china" in told["choices"]
    problem(client.get("/v1/samples/chinna/image"), 404, "unknown_sample")


def test_files_that_are_no_photos_are_told_by_what_they_seem_to_be(client: httpx2.Client) -> None:
    for data, seems in ((b"<!doctype html><html>", "HTML"), (b"%PDF-1.7 ...", "PDF"), (b"hello, world", "")):
        told = problem(client.post("/v1/predictions", files={"file": ("x.jpg", data)}), 415, "unsupported_format")
        assert seems in told["detail"]


def test_a_photo_that_is_cut_off_before_its_pixels(client: httpx2.Client, jpeg: bytes) -> None:
    problem(client.post("/v1/predictions", files={"file": ("cut.jpg", jpeg[:60])}), 422, "photo_corrupt")


def test_the_picture_of_several_models(client: httpx2.Client, jpeg: bytes) -> None:
    response = client.post(
        "/v1/predictions", params={"models": "all"}, files={"file": jpeg}, headers={"Accept": "image/png"}
    )
    problem(response, 406, "not_acceptable")


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/page/..%2fapp.py", "/page/none.js", "/v1/models/none"])
def test_pages_that_are_not_there(client: httpx2.Client, path: str) -> None:
    response = client.get(path)
    problem(response, 404, response.json()["code"])


def test_a_method_that_is_not_taken(client: httpx2.Client) -> None:
    response = client.get("/v1/predictions")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_names_that_would_break_a_page_or_a_log_are_only_text(client: httpx2.Client, jpeg: bytes) -> None:
    for name in (
        '"><img src=x onerror=alert(1)>.jpg',
        "\u202egpj.exe",
        "a\nb\r\nSet-Cookie: x.jpg",
        "x" * 5000 + ".jpg",
    ):
        response = client.post("/v1/predictions", files={"file": (name, jpeg)})
        assert response.status_code in (200, 400), response.text
        if response.status_code == 200:
            shown = response.json()["photo"]["name"]
            assert shown.isprintable()
            assert len(shown) < 2000
        assert "set-cookie" not in response.headers
    response = client.post("/v1/predictions", files={"file": ("../../etc/passwd", b"none")})
    assert "etc" not in response.json()["detail"]


def test_a_slow_upload_is_ended(jpeg: bytes) -> None:
    with Running(upload_seconds=1.0) as server, server.connect() as connection:
        connection.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 100000\r\n\r\n--x\r\n"
        )
        began = time.monotonic()
        answer = connection.recv(65536)
        assert b"408" in answer.split(b"\r\n")[0]
        assert b"upload_too_slow" in answer
        assert time.monotonic() - began < 10
        until(lambda: server.house.places.uploads == 0)


def test_a_fault_of_the_server_is_a_problem_without_its_details(
    client: httpx2.Client, server: Running, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(server.house.answering, "_get", fault)
    response = client.post("/v1/predictions", files={"file": jpeg})
    problem(response, 500, "internal")
    assert "secret" not in response.text


def test_the_docs_tell_every_code(request: pytest.FixtureRequest) -> None:
    docs = (request.config.rootpath / "docs" / "api.md").read_text()
    for code in TITLES:
        assert f"`{code}`" in docs, code


def test_a_problem_is_json_even_for_who_wants_a_picture(client: httpx2.Client) -> None:
    response = client.post("/v1/predictions", data={"sample": "none"}, headers={"Accept": "image/png"})
    assert json.loads(response.content)["code"] == "unknown_sample"


def test_the_decoders_outlive_what_they_were_given(client: httpx2.Client, server: Running) -> None:
    before = len(server.house.decoders.processes)
    assert before == 2
    client.post("/v1/predictions", files={"file": ("x", photo()[:500])})
    assert client.post("/v1/predictions", files={"file": photo()}).status_code == 200


def test_more_photos_than_a_batch_may_have(client: httpx2.Client) -> None:
    files = [("files", (f"{number}.jpg", b"x")) for number in range(40)]
    told = problem(client.post("/v1/predictions/batch", files=files), 413, "photo_too_large")
    assert "32" in told["detail"]


def test_a_disk_without_room_for_an_upload(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    from tempfile import SpooledTemporaryFile

    def full(self: Any, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpooledTemporaryFile, "write", full)
    response = client.post("/v1/predictions", files={"file": photo()})
    problem(response, 503, "storage_full")
    assert response.headers["retry-after"]
