"""Who may ask, how often, and from which page; and the headers that guard the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.server.rate import Rate, RateLimiter, client_of
from veduta.server.settings import Settings

from .running import Running


def test_a_key_is_needed_where_there_are_keys(jpeg: bytes, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# for the archive\nsecond-key\n\n")
    with Running(api_keys="first-key", api_keys_file=file) as server, server.client() as client:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic Zmlyc3Qta2V5"},
            {"X-API-Key": ""},
        ):
            response = client.post("/v1/predictions", files={"file": jpeg}, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
            assert client.get("/v1/models", headers=headers).status_code == 401
        for headers in ({"Authorization": "Bearer first-key"}, {"X-API-Key": "second-key"}):
            assert client.post("/v1/predictions", files={"file": jpeg}, headers=headers).status_code == 200
        for path in (
            "/",
            "/about",
            "/healthz",
            "/readyz",
            "/v1/samples",
            "/v1/openapi.json",
            "/v1/samples/china/image",
        ):
            assert client.get(path).status_code == 200, path


def test_more_than_the_rate_is_told_when_to_come_back(jpeg: bytes) -> None:
    with Running(rate_limit="3/minute", api_keys="a,b") as server, server.client() as client:
        for key in ("a", "b"):
            headers = {"Authorization": f"Bearer {key}"}
            statuses = [
                client.post("/v1/predictions", files={"file": jpeg}, headers=headers).status_code for _ in range(4)
            ]
            assert statuses == [200, 200, 200, 429]
        response = client.post("/v1/predictions", files={"file": jpeg}, headers=headers)
        assert response.json()["code"] == "rate_limited"
        assert 1 <= int(response.headers["retry-after"]) <= 61
        assert client.get("/v1/models", headers=headers).status_code == 200


def test_a_window_counts_each_client_and_begins_anew() -> None:
    now = 0.0
    limiter = RateLimiter(Rate.parse("2/minute"), clock=lambda: now)
    assert [limiter.wait("a"), limiter.wait("a"), limiter.wait("b")] == [0, 0, 0]
    now = 20.0
    assert limiter.wait("a") == 40
    now = 60.0
    assert limiter.wait("a") == 0


def test_a_household_of_ipv6_is_one_client() -> None:
    assert client_of("2001:db8:1:2:3:4:5:6") == client_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert client_of("2001:db8:1:3::1") != client_of("2001:db8:1:2::1")
    assert client_of("192.0.2.1") == "192.0.2.1"
    assert client_of("unknown") == "unknown"


def test_the_client_behind_a_trusted_proxy_is_counted_by_its_own_address(jpeg: bytes) -> None:
    with Running(rate_limit="1/minute", forwarded_allow_ips="127.0.0.1") as server, server.client() as client:
        for address in ("203.0.113.1", "203.0.113.2"):
            response = client.post("/v1/predictions", files={"file": jpeg}, headers={"X-Forwarded-For": address})
            assert response.status_code == 200
    with Running(rate_limit="1/minute", forwarded_allow_ips="192.0.2.1") as server, server.client() as client:
        statuses = [
            client.post("/v1/predictions", files={"file": jpeg}, headers={"X-Forwarded-For": address}).status_code
            for address in ("203.0.113.1", "203.0.113.2")
        ]
        assert statuses == [200, 429]


def test_other_pages_may_ask_only_where_that_was_allowed(jpeg: bytes) -> None:
    with Running(cors_origins="https://photos.example") as server, server.client() as client:
        allowed = client.post("/v1/predictions", files={"file": jpeg}, headers={"Origin": "https://photos.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://photos.example"
        other = client.post("/v1/predictions", files={"file": jpeg}, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        asked = client.options(
            "/v1/predictions",
            headers={
                "Origin": "https://photos.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert asked.status_code == 200
    with Running() as server, server.client() as client:
        closed = client.post("/v1/predictions", files={"file": jpeg}, headers={"Origin": "https://photos.example"})
        assert "access-control-allow-origin" not in closed.headers


@pytest.mark.parametrize("path", ["/", "/about", "/page/style.css", "/v1/models", "/nothing", "/healthz"])
def test_every_answer_carries_the_headers_that_guard_the_page(server: Running, path: str) -> None:
    with server.client() as client:
        headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_a_request_keeps_its_id_where_that_is_one(server: Running) -> None:
    with server.client() as client:
        assert client.get("/healthz", headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
        for bad in ("a b", "x" * 65, "<script>", ""):
            given = client.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"]
            assert given != bad
            assert len(given) == 32


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PORT", "many", "VEDUTA_SERVER_PORT is 'many'"),
        ("QUEUE", "0", "VEDUTA_SERVER_QUEUE"),
        ("PRECISION", "float16", "VEDUTA_SERVER_PRECISION"),
        ("RATE_LIMIT", "often", "VEDUTA_SERVER_RATE_LIMIT"),
        ("RATE_LIMIT", "60/minute;5/second", "VEDUTA_SERVER_RATE_LIMIT"),
        ("MAX_BATCH_MB", "1", "max_batch_mb is below max_upload_mb"),
        ("MODELS", "other", "is none of the models"),
    ],
)
def test_a_setting_that_cant_be_meant_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"VEDUTA_SERVER_{name}", value)
    with pytest.raises(UsageError, match=told):
        Settings.read()


def test_keys_stay_out_of_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_SERVER_API_KEYS", "top-secret,another")
    settings = Settings.read()
    assert settings.all_keys() == ("top-secret", "another")
    assert "top-secret" not in repr(settings)


def test_a_file_of_keys_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keys"):
        Settings.read(api_keys_file=tmp_path / "none").all_keys()


def test_every_setting_is_documented(request: pytest.FixtureRequest) -> None:
    docs = (request.config.rootpath / "docs" / "serving.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in docs or f"VEDUTA_SERVER_{name.upper()}" in docs, name


def test_a_file_without_a_key_opens_the_server_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n\n")
    with pytest.raises(UsageError, match="holds no API key"):
        Settings.read(api_keys_file=tmp_path / "keys").all_keys()
