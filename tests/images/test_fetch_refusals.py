"""No trick brings a connection to this machine or its network: a canary on loopback counts, each dial is listed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from veduta.errors import FetchError, FetchFailed, FetchRefused
from veduta.images.network import system_resolver

from .canaries import OK, Net
from .disguises import HOSTS, PUBLIC, URLS

if TYPE_CHECKING:
    from .conftest import LoopbackServer


@pytest.fixture
def net(serve: Callable[..., LoopbackServer]) -> Net:
    def answer(head: str, connection: socket.socket) -> None:
        where = f"Location: {net.location}\r\n".encode() if net.location else b""
        connection.sendall(b"HTTP/1.1 302 Found\r\n" + where + b"Content-Length: 0\r\n\r\n")

    canaries = [serve(lambda head, connection: connection.sendall(OK))]
    if socket.has_ipv6:
        with suppress(OSError):  # Python may know IPv6, and this machine not
            canaries.append(serve(lambda head, connection: connection.sendall(OK), host="::1"))
    net = Net(canaries, serve(answer))
    return net


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_a_host_in_disguise_is_never_connected_to(net: Net, host: str) -> None:
    with net.fetcher() as fetcher:
        for canary in net.canaries:
            with pytest.raises(FetchError):
                fetcher.get(f"http://{host}:{canary.port}/")
        with pytest.raises(FetchError):
            fetcher.get(f"http://{host}/")
    assert not net.dialled
    assert not net.visits


@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_a_url_in_disguise_is_never_connected_to(net: Net, url: str) -> None:
    with net.fetcher() as fetcher, pytest.raises(FetchRefused):
        fetcher.get(url.format(port=net.port))
    assert not net.dialled
    assert not net.visits


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_a_redirect_to_a_host_in_disguise_is_not_followed(net: Net, host: str) -> None:
    net.location = f"http://{host}:{net.port}/"
    with net.fetcher() as fetcher, pytest.raises(FetchError):
        fetcher.get("http://public.example/")
    assert {address for address, _ in net.dialled} == {PUBLIC}
    assert not net.visits


@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_a_redirect_to_a_url_in_disguise_is_not_followed(net: Net, url: str) -> None:
    net.location = url.format(port=net.port)
    with net.fetcher() as fetcher, pytest.raises(FetchError):
        fetcher.get("http://public.example/")
    assert {address for address, _ in net.dialled} == {PUBLIC}
    assert not net.visits


def test_there_are_at_least_120_tricks() -> None:
    assert len(HOSTS) + len(URLS) >= 120
    assert len(set(HOSTS.values())) == len(HOSTS)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "①②⑦.1", "[::ffff:7f00:1]", "localhost"]
)
def test_the_canary_counts_where_loopback_is_allowed(net: Net, host: str) -> None:
    with net.fetcher(allow_loopback=True) as fetcher:
        assert fetcher.get(f"http://{host}:{net.port}/").content == b"ok"
    assert net.visits == 1


def test_no_variable_of_the_environment_allows_loopback_or_sets_a_proxy(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{net.port}")
    for name in ("VEDUTA_ALLOW_LOOPBACK", "ALLOW_LOOPBACK", "NO_PROXY"):
        monkeypatch.setenv(name, "1")
    with net.fetcher() as fetcher:
        with pytest.raises(FetchRefused):
            fetcher.get(f"http://127.0.0.1:{net.port}/")
        with pytest.raises(FetchFailed, match="does not say where to"):
            fetcher.get("http://public.example/")
    assert not net.visits


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_chain_of_redirects_is_judged_at_its_end_as_well(net: Net, hops: int) -> None:
    locations = iter([*["/again"] * (hops - 1), f"http://loopback.example:{net.port}/"])

    def lead_on(head: str, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {next(locations)}\r\nContent-Length: 0\r\n\r\n".encode())

    net.inside.script = lead_on
    with net.fetcher() as fetcher, pytest.raises(FetchRefused, match="is loopback"):
        fetcher.get("http://public.example/")
    assert len(net.inside.heads) == hops
    assert not net.visits


def test_a_name_that_turns_to_loopback_is_refused_at_the_second_connection(net: Net) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    net.location = "http://public.example/again"
    with net.fetcher(resolver=lambda host, port: next(answers)) as fetcher, pytest.raises(FetchRefused):
        fetcher.get(f"http://public.example:{net.port}/")
    assert net.dialled == [(PUBLIC, net.port)]
    assert not net.visits


def test_a_name_is_resolved_once_and_its_judged_address_is_connected_to(net: Net) -> None:
    asked: list[str] = []

    def once(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    with net.fetcher(resolver=once) as fetcher, pytest.raises(FetchFailed, match="does not say where to"):
        fetcher.get(f"http://rebinding.example:{net.port}/")
    assert asked == ["rebinding.example"]
    assert net.dialled == [(PUBLIC, net.port)]
    assert f"Host: rebinding.example:{net.port}\r\n" in net.inside.heads[0]


def test_a_retry_after_rebinding_is_refused(net: Net) -> None:
    answers = iter([[PUBLIC], ["::1"]])
    net.inside.script = lambda head, connection: connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    with net.fetcher(resolver=lambda host, port: next(answers)) as fetcher, pytest.raises(FetchRefused):
        fetcher.get(f"http://public.example:{net.port}/")
    assert net.dialled == [(PUBLIC, net.port)]
    assert not net.visits


def test_a_download_is_judged_like_a_photo(net: Net, tmp_path: Any) -> None:
    net.location = f"http://2130706433:{net.port}/"
    with net.fetcher() as fetcher:
        for url in (f"http://127.1:{net.port}/", "http://public.example/"):
            with pytest.raises(FetchRefused):
                fetcher.download(url, tmp_path / "file")
    assert not net.visits
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"])
def test_the_systems_own_resolver_says_what_a_number_means(host: str) -> None:
    assert set(system_resolver(host, 80)) <= {"127.0.0.1", "0.0.0.0"}


def test_the_systems_own_resolver_keeps_a_zone() -> None:
    assert all("%" in address for address in system_resolver("fe80::1%1", 80))
