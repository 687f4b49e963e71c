"""No trick brings a connection to this machine or its network: a canary on loopback counts, each dial is listed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpcore2
import pytest

from veduta.errors import FetchError, FetchFailed, FetchRefused
from veduta.images.fetch import Clock, Fetcher, Politeness
from veduta.images.network import system_dial, system_resolver

if TYPE_CHECKING:
    LoopbackServer = Any

PUBLIC = "93.184.215.14"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

#: What names stand for here; a list of lists answers differently each time it is asked.
NAMES: dict[str, list[str]] = {
    "public.example": [PUBLIC],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "evil.localhost": ["127.0.0.1"],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "this.example": ["0.0.0.0"],
    "private.example": ["10.1.2.3"],
    "metadata.google.internal": ["169.254.169.254"],
    "mixed.example": [PUBLIC, "127.0.0.1"],
    "mixed-first.example": ["127.0.0.1", PUBLIC],
    "mixed6.example": [PUBLIC, "::1"],
    "mixed-many.example": [*(f"93.184.215.{last}" for last in range(1, 60)), "192.168.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "compatible.example": ["::127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "6to4.example": ["2002:7f00:1::1"],
    "isatap.example": ["2a00:1450::5efe:127.0.0.1"],
    "zone.example": ["fe80::1%1"],
    "loopback-zone.example": ["::1%1"],
    "nonsense.example": ["not an address"],
    "number.example": ["2130706433"],
    "xn--bcher-kva.example": ["127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "7f000001.example": ["127.0.0.1"],
}


def resolve(host: str, port: int) -> list[str]:
    """The table above; what is no name but a number goes to the system, which then asks nobody."""
    if host in NAMES:
        return NAMES[host]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(place[0]) for *_, place in found]


#: What stands between ``http://`` and the port, and means this machine or its network.
HOSTS = {
    "dotted": "127.0.0.1",
    "dotted-other": "127.127.127.127",
    "decimal": "2130706433",
    "decimal-last": "2147483646",
    "hex": "0x7f000001",
    "hex-capital": "0X7F000001",
    "hex-dotted": "0x7f.0x0.0x0.0x1",
    "hex-short": "0x7f.1",
    "hex-padded": "0x000000007f.0.0.1",
    "octal": "0177.0.0.1",
    "octal-one-number": "017700000001",
    "octal-padded": "0000000177.0.0.1",
    "octal-all": "0177.00.00.01",
    "mixed-bases": "0x7f.0.0.01",
    "short-two": "127.1",
    "short-three": "127.0.1",
    "short-overflowing": "127.65537",
    "zero": "0",
    "zeros": "0.0.0.0",
    "zero-hex": "0x0",
    "zero-octal": "00",
    "zero-short": "0.0",
    "overflowing-byte": "127.0.0.257",
    "overflowing-number": "4294967297",
    "overflowing-long": "6425673729",
    "trailing-dot": "127.0.0.1.",
    "trailing-dot-name": "localhost.",
    "full-width-digits": "１２７.０.０.１",
    "full-width-dots": "127．0．0．1",
    "full-width-all": "１２７．０．０．１",
    "full-width-hex": "０ｘ７ｆ．１",
    "ideographic-dots": "127。0。0。1",
    "half-width-ideographic-dots": "127｡0｡0｡1",
    "circled": "①②⑦.⓪.⓪.①",
    "circled-short": "①②⑦.1",
    "superscript": "¹²⁷.⁰.⁰.¹",
    "mathematical": "𝟭𝟮𝟳.𝟬.𝟬.𝟭",
    "arabic-indic": "١٢٧.٠.٠.١",
    "soft-hyphen": "127\u00ad.0.0.1",
    "zero-width-space": "127\u200b.0.0.1",
    "zero-width-joiner": "127\u200d.0.0.1",
    "word-joiner": "127\u2060.0.0.1",
    "right-to-left": "\u202e127.0.0.1",
    "byte-order-mark": "\ufeff127.0.0.1",
    "combining": "127\u0301.0.0.1",
    "localhost": "localhost",
    "localhost-capitals": "LOCALHOST",
    "localhost-full-width": "ｌｏｃａｌｈｏｓｔ",
    "localhost-circled": "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "localhost-long-s": "localho\u017ft",
    "localhost-domain": "localhost.localdomain",
    "localhost-under": "evil.localhost",
    "percent-encoded": "%31%32%37.0.0.1",
    "percent-encoded-dot": "127%2e0%2e0%2e1",
    "percent-encoded-name": "localhos%74",
    "percent-encoded-at": "public.example%40127.0.0.1",
    "percent-encoded-slash": "127.0.0.1%2f.public.example",
    "percent-encoded-nul": "127.0.0.1%00.public.example",
    "private-10": "10.0.0.1",
    "private-172": "172.16.0.1",
    "private-192": "192.168.1.1",
    "private-decimal": "167772161",
    "cgnat": "100.64.0.1",
    "metadata": "169.254.169.254",
    "metadata-decimal": "2852039166",
    "metadata-hex": "0xa9fea9fe",
    "metadata-octal": "0251.0376.0251.0376",
    "metadata-short": "169.254.43518",
    "metadata-name": "metadata.google.internal",
    "azure-host": "168.63.129.16",
    "protocol-assignments": "192.0.0.8",
    "benchmark": "198.18.0.1",
    "documentation": "192.0.2.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "v6-loopback": "[::1]",
    "v6-loopback-long": "[0:0:0:0:0:0:0:1]",
    "v6-loopback-padded": "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "v6-loopback-dotted": "[::0.0.0.1]",
    "v6-unspecified": "[::]",
    "v6-unspecified-dotted": "[::0.0.0.0]",
    "v6-mapped": "[::ffff:127.0.0.1]",
    "v6-mapped-hex": "[::ffff:7f00:1]",
    "v6-mapped-long": "[0:0:0:0:0:ffff:127.0.0.1]",
    "v6-mapped-zero": "[::ffff:0.0.0.0]",
    "v6-mapped-private": "[::ffff:10.0.0.1]",
    "v6-mapped-metadata": "[::ffff:169.254.169.254]",
    "v6-compatible": "[::127.0.0.1]",
    "v6-translated": "[::ffff:0:127.0.0.1]",
    "nat64": "[64:ff9b::127.0.0.1]",
    "nat64-metadata": "[64:ff9b::a9fe:a9fe]",
    "nat64-local": "[64:ff9b:1::7f00:1]",
    "6to4": "[2002:7f00:1::]",
    "6to4-private": "[2002:a00:1::1]",
    "teredo": "[2001:0:7f00:1::80ff:fffe]",
    "isatap": "[2a00:1450::5efe:7f00:1]",
    "isatap-universal": "[2a00:1450::200:5efe:7f00:1]",
    "unique-local": "[fd00::1]",
    "aws-metadata-v6": "[fd00:ec2::254]",
    "link-local-v6": "[fe80::1]",
    "site-local": "[fec0::1]",
    "multicast-v6": "[ff02::1]",
    "documentation-v6": "[2001:db8::1]",
    "zone": "[fe80::1%eth0]",
    "zone-loopback": "[::1%lo]",
    "zone-loopback-number": "[::1%1]",
    "zone-encoded": "[::1%251]",
    "v6-without-brackets": "::1",
    "v6-unclosed": "[::1",
    "v4-in-brackets": "[127.0.0.1]",
    "future-ip": "[v1.127.0.0.1]",
    "user": "public.example@127.0.0.1",
    "user-and-password": "public.example:80@127.0.0.1",
    "user-with-slash-encoded": "public.example%2f@127.0.0.1",
    "two-users": "public.example@public.example@127.0.0.1",
    "empty-user": "@127.0.0.1",
    "user-in-disguise": "public.example＠127.0.0.1",
    "backslash": "127.0.0.1\\@public.example",
    "backslash-after": "public.example\\@127.0.0.1",
    "hash-in-disguise": "127.0.0.1＃public.example",
    "slash-in-disguise": "127.0.0.1／public.example",
    "line-end": "127.0.0.1\r\n",
    "header-injection": "127.0.0.1 HTTP/1.1\r\nHost: public.example\r\n\r\n",
    "tab": "127.0\t.0.1",
    "space": "127.0.0.1 public.example",
    "nul": "127.0.0.1\0.public.example",
    "comma": "public.example,127.0.0.1",
    "semicolon": "public.example;127.0.0.1",
    "empty": "",
    "name-of-loopback": "loopback.example",
    "name-of-loopback-6": "loopback6.example",
    "name-of-zero": "this.example",
    "name-of-private": "private.example",
    "name-with-umlaut": "bücher.example",
    "name-like-an-address": "127.0.0.1.nip.example",
    "name-of-hex": "7f000001.example",
    "records-mixed": "mixed.example",
    "records-mixed-private-first": "mixed-first.example",
    "records-mixed-6": "mixed6.example",
    "records-mixed-many": "mixed-many.example",
    "record-mapped": "mapped.example",
    "record-compatible": "compatible.example",
    "record-nat64": "nat64.example",
    "record-6to4": "6to4.example",
    "record-isatap": "isatap.example",
    "record-zone": "zone.example",
    "record-loopback-zone": "loopback-zone.example",
    "record-nonsense": "nonsense.example",
    "record-number": "number.example",
}

#: Whole URLs; ``{port}`` is the canary's.
URLS = {
    "file": "file:///etc/hostname",
    "file-with-host": "file://127.0.0.1:{port}/",
    "ftp": "ftp://127.0.0.1:{port}/",
    "gopher": "gopher://127.0.0.1:{port}/_GET",
    "dict": "dict://127.0.0.1:{port}/d",
    "ldap": "ldap://127.0.0.1:{port}/",
    "websocket": "ws://127.0.0.1:{port}/",
    "websocket-secure": "wss://127.0.0.1:{port}/",
    "data": "data:text/plain,127.0.0.1",
    "javascript": "javascript:alert(1)",
    "jar": "jar:http://127.0.0.1:{port}!/",
    "unix-socket": "http+unix://%2fvar%2frun%2fdocker.sock/",
    "url-prefix": "url:http://127.0.0.1:{port}/",
    "no-scheme": "127.0.0.1:{port}/",
    "scheme-relative": "//127.0.0.1:{port}/",
    "one-slash": "http:/127.0.0.1:{port}/",
    "no-slash": "http:127.0.0.1:{port}/",
    "three-slashes": "http:///127.0.0.1:{port}/",
    "four-slashes": "http:////127.0.0.1:{port}/",
    "backslashes": "http:\\\\127.0.0.1:{port}\\",
    "leading-space": " http://127.0.0.1:{port}/",
    "leading-nul": "\0http://127.0.0.1:{port}/",
    "tab-in-scheme": "ht\ttp://127.0.0.1:{port}/",
    "line-end-in-path": "http://public.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "https": "https://127.0.0.1:{port}/",
    "https-6": "https://[::1]:{port}/",
    "port-plus": "http://127.0.0.1:+{port}/",
    "port-spaced": "http://127.0.0.1: {port}/",
    "port-padded": "http://127.0.0.1:0{port}/",
    "port-twice": "http://public.example:80:{port}/",
    "port-at": "http://public.example:80@127.0.0.1:{port}/",
    "port-of-ssh": "http://public.example:22/",
    "port-of-mail": "http://public.example:25/",
    "port-of-redis": "http://public.example:6379/",
    "port-wrapping": "http://public.example:65616/",
    "query-without-slash": "http://127.0.0.1:{port}?public.example/",
    "fragment-without-slash": "http://127.0.0.1:{port}#public.example/",
    "fragment-at": "http://127.0.0.1:{port}#@public.example/",
    "query-at": "http://127.0.0.1:{port}?@public.example/",
}


@dataclass
class Net:
    """A canary on both kinds of loopback, and a fetcher that can reach one public address, played by ``inside``."""

    canaries: list[LoopbackServer]
    inside: LoopbackServer
    location: str = ""
    dialled: list[tuple[str, int]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.canaries[0].port)

    def dial(self, address: str, port: int, seconds: float) -> httpcore2.NetworkStream:
        self.dialled.append((address, port))
        if address == PUBLIC:
            return system_dial("127.0.0.1", self.inside.port, seconds)
        return system_dial(address, port, 2.0)

    def fetcher(self, **options: Any) -> Fetcher:
        ports = {80, 443, *(canary.port for canary in self.canaries)}
        clock = Clock(sleep=lambda seconds: None)
        politeness = Politeness(interval_seconds=0)
        given = {"resolver": resolve, "dial": self.dial, "clock": clock, "politeness": politeness, "ports": ports}
        return Fetcher(**(given | options))

    @property
    def visits(self) -> int:
        return sum(canary.connections for canary in self.canaries)


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
