"""What is connected to: the judged address under the name's certificate, within its time, or the user's proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

import pytest
import trustme

from veduta.errors import FetchFailed, FetchRefused, FetchTooSlow, UsageError
from veduta.images.fetch import Fetcher, FetchLimits
from veduta.images.network import system_dial

from .fetching import ADDRESS, Serve, answer, fetcher, says


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, list[str | None]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda connection, name, context: asked.append(name)
    return context, asked


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tls_fetcher(authority: trustme.CA, port: int, dialled: list[str] | None = None, **options: Any) -> Fetcher:
    def dial(address: str, wanted: int, seconds: float) -> Any:
        if dialled is not None:
            dialled.append(address)
        return system_dial("127.0.0.1", port, seconds)

    given: dict[str, Any] = {"tls": trusting(authority), "resolver": lambda host, port: [ADDRESS], "dial": dial}
    return fetcher(allow_loopback=False, **(given | options))


def test_the_certificate_of_the_name_is_demanded_when_the_address_is_connected_to(
    serve: Serve, authority: trustme.CA
) -> None:
    context, asked = tls_server(authority, "scenes.example")
    server = serve(says(answer(b"secret garden")), tls=context)
    dialled: list[str] = []
    with tls_fetcher(authority, server.port, dialled) as fetch:
        assert fetch.get("https://scenes.example/").content == b"secret garden"
    assert dialled == [ADDRESS]
    assert asked == ["scenes.example"], "SNI is the name, not the address"
    assert "Host: scenes.example\r\n" in server.heads[0]


@pytest.mark.parametrize("names", [("other.example",), (ADDRESS,), ("*.scenes.example",)])
def test_a_certificate_of_another_name_is_refused(serve: Serve, authority: trustme.CA, names: tuple[str, ...]) -> None:
    context, _ = tls_server(authority, *names)
    server = serve(says(answer(b"x")), tls=context)
    with (
        tls_fetcher(authority, server.port) as fetch,
        pytest.raises(FetchFailed, match="no valid cert") as failed,
    ):
        fetch.get("https://scenes.example/")
    assert not failed.value.passing
    assert not server.heads


def test_a_certificate_of_an_unknown_authority_is_refused(serve: Serve, authority: trustme.CA) -> None:
    context, _ = tls_server(trustme.CA(), "scenes.example")
    server = serve(says(answer(b"x")), tls=context)
    with tls_fetcher(authority, server.port) as fetch, pytest.raises(FetchFailed, match="no valid cert"):
        fetch.get("https://scenes.example/")
    assert not server.heads


def test_the_systems_authorities_do_not_vouch_for_a_made_certificate(
    serve: Serve, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "made.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "made.pem"))
    context, _ = tls_server(authority, "scenes.example")
    server = serve(says(answer(b"x")), tls=context)
    with (
        tls_fetcher(authority, server.port, tls=None) as fetch,
        pytest.raises(FetchFailed, match="no valid cert"),
    ):
        fetch.get("https://scenes.example/")


def test_a_kept_connection_is_not_used_for_another_name_at_the_same_address(
    serve: Serve, authority: trustme.CA
) -> None:
    def again(head: str, connection: socket.socket) -> bool:
        connection.sendall(answer(b"ok"))
        return True

    context, asked = tls_server(authority, "scenes.example")
    server = serve(again, tls=context)
    with tls_fetcher(authority, server.port) as fetch:
        fetch.get("https://scenes.example/")
        with pytest.raises(FetchFailed, match=r"no valid certificate for other\.example"):
            fetch.get("https://other.example/")
    assert asked == ["scenes.example", "other.example"]
    assert len(server.heads) == 1


def test_an_encrypted_address_does_not_lead_to_an_open_one(serve: Serve, authority: trustme.CA) -> None:
    context, _ = tls_server(authority, "scenes.example")
    server = serve(says(answer(status="302 Found", location="http://scenes.example/")), tls=context)
    with tls_fetcher(authority, server.port) as fetch, pytest.raises(FetchRefused, match="allow_downgrade"):
        fetch.get("https://scenes.example/")
    assert server.connections == 1


def test_a_handshake_that_never_ends_meets_the_deadline(serve: Serve, authority: trustme.CA) -> None:
    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = FetchLimits(connect_seconds=0.2, retries=0)
        port = silent.getsockname()[1]
        with tls_fetcher(authority, port, limits=limits) as fetch, pytest.raises(FetchTooSlow, match="to connect"):
            fetch.get("https://scenes.example/")
    released.set()


def test_a_resolver_that_never_answers_meets_the_deadline() -> None:
    released = threading.Event()

    def stuck(host: str, port: int) -> list[str]:
        released.wait(20)
        return []

    with fetcher(limits=FetchLimits(connect_seconds=0.1), resolver=stuck) as fetch:
        with pytest.raises(FetchTooSlow, match="not resolved"):
            fetch.get("http://scenes.example/")
        released.set()


def test_the_second_address_is_tried_where_the_first_does_not_answer(serve: Serve) -> None:
    import httpcore2

    server = serve(says(answer(b"ok")))
    dialled: list[str] = []

    def dial(address: str, port: int, seconds: float) -> Any:
        dialled.append(address)
        if len(dialled) == 1:
            raise httpcore2.ConnectError("nobody there")
        return system_dial("127.0.0.1", server.port, seconds)

    with fetcher(resolver=lambda host, port: [ADDRESS, "93.184.215.15"], dial=dial) as fetch:
        assert fetch.get("http://scenes.example/").content == b"ok"
    assert dialled == [ADDRESS, "93.184.215.15"]


# A proxy, where the user names one


def test_a_proxy_is_given_the_judged_address_and_the_name_in_the_host_header(serve: Serve) -> None:
    proxy = serve(says(answer(b"by proxy")))
    with fetcher(
        allow_loopback=False, proxy=f"http://me:word@127.0.0.1:{proxy.port}", resolver=lambda host, port: [ADDRESS]
    ) as fetch:
        assert fetch.get("http://scenes.example/a").content == b"by proxy"
    assert proxy.heads[0].startswith(f"GET http://{ADDRESS}:80/a HTTP/1.1\r\n")
    assert "Host: scenes.example\r\n" in proxy.heads[0]
    assert "Proxy-Authorization: Basic bWU6d29yZA==\r\n" in proxy.heads[0]


def test_a_tunnel_goes_to_the_judged_address_and_demands_the_certificate_of_the_name(
    serve: Serve, authority: trustme.CA
) -> None:
    context, asked = tls_server(authority, "scenes.example")
    behind: list[str] = []

    def tunnel(head: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as wrapped:
            behind.append(wrapped.recv(4_096).decode())
            wrapped.sendall(answer(b"by tunnel"))

    proxy = serve(tunnel)
    options = {"proxy": f"http://127.0.0.1:{proxy.port}", "resolver": lambda host, port: [ADDRESS]}
    with fetcher(allow_loopback=False, tls=trusting(authority), **options) as fetch:
        assert fetch.get("https://scenes.example/").content == b"by tunnel"
        with pytest.raises(FetchFailed, match="no valid cert"):
            fetch.get("https://other.example/")
    assert proxy.heads[0].startswith(f"CONNECT {ADDRESS}:443 ")
    assert asked == ["scenes.example", "other.example"]
    assert "Host: scenes.example\r\n" in behind[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://private.example/", "https://169.254.169.254/"])
def test_a_proxy_is_not_asked_for_an_address_that_is_not_public(serve: Serve, url: str) -> None:
    proxy = serve(says(answer(b"x")))
    options = {"proxy": f"http://127.0.0.1:{proxy.port}", "resolver": lambda host, port: ["10.0.0.1"]}
    with fetcher(allow_loopback=False, **options) as fetch, pytest.raises(FetchRefused):
        fetch.get(url)
    assert not proxy.connections


@pytest.mark.parametrize("proxy", ["127.0.0.1:80", "socks5://127.0.0.1:80", "http://", "http://a:b", ""])
def test_a_proxy_that_can_not_be_meant_is_refused(proxy: str) -> None:
    with pytest.raises(UsageError):
        Fetcher(proxy=proxy)
