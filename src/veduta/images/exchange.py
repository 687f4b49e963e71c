"""Asking a server and following where it leads, each step judged; what comes back is an answer or a FetchError."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpcore2

from veduta.errors import FetchError, FetchFailed, FetchLater, FetchRefused, FetchTooLarge, FetchTooSlow, UsageError
from veduta.images.fetch_limits import Clock, FetchLimits, Politeness
from veduta.images.limits import printable
from veduta.images.network import Budget, Dial, GuardedNetwork, Resolver
from veduta.images.turns import HostTurns
from veduta.images.urls import WebAddress, redirected
from veduta.retry_after import retry_after

_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 429, 500, 502, 503, 504)
_KEPT_CONNECTIONS = 32
_KEPT_SECONDS = 10.0
_FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer; ``chunks`` reads the rest of it, as it comes over the wire.

    ``address`` is where it came from after all redirects. ``headers`` has lower-case names, and of a repeated header
    the values joined with commas.
    """

    address: WebAddress
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)

    @property
    def length(self) -> int | None:
        """Content-Length, where it is told and no transfer coding overrides it."""
        text = self.headers.get("content-length", "")
        told = "transfer-encoding" not in self.headers and re.fullmatch(r"[0-9]{1,18}", text, re.ASCII)
        return int(text) if told else None

    @property
    def end_is_marked(self) -> bool:
        """Whether a body that was cut short would be noticed."""
        return self.length is not None or "chunked" in self.headers.get("transfer-encoding", "").lower()


class Exchange:
    """The connections of one fetcher; thread-safe."""

    def __init__(
        self,
        *,
        politeness: Politeness,
        ports: Container[int],
        user_agent: str,
        proxy: str | None,
        tls: ssl.SSLContext | None,
        allow_loopback: bool,
        allow_downgrade: bool,
        resolver: Resolver,
        dial: Dial,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.ports = ports
        self._user_agent = user_agent
        self._allow_downgrade = allow_downgrade
        self._tls = tls
        self._proxy = None if proxy is None else _proxy_address(proxy)
        self._turns = HostTurns(politeness, clock)
        self._network = GuardedNetwork(resolver, dial, allow_loopback=allow_loopback, proxied=proxy is not None)
        self._lock = threading.Lock()
        self._pools: dict[str, httpcore2.ConnectionPool] = {}

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    @contextmanager
    def answer(
        self,
        address: WebAddress,
        budget: Budget,
        *,
        body_bytes: int,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (200,),
        content: bytes | None = None,
    ) -> Iterator[Answer]:
        """The answer at the end of all redirects, with a status among ``accept``; the connection lasts for the block.

        ``body_bytes`` is the most that the body may have. ``content`` is posted, and never sent on to where a redirect
        leads. Raises FetchRefused, FetchFailed, FetchLater, FetchTooLarge,
        FetchTooSlow, also while the chunks are read.
        """
        here = address
        for _ in range(budget.limits.redirects + 1):
            budget.begin_answer(body_bytes)
            with self._hop(here, budget, headers or {}, content) as answer:
                if answer.status not in _REDIRECTS:
                    self._check(answer, accept, budget)
                    yield answer
                    return
                if content is not None:
                    raise FetchRefused(f"{here.shown} redirects what is posted to it; give the address itself.")
                here = self._next(here, answer)
        raise FetchRefused(
            f"{address.shown} redirects more than {budget.limits.redirects} times: give the address where the redirects"
            " end, if there is one."
        )

    def pause(self, attempt: int, budget: Budget) -> None:
        """Wait before another attempt: half a second, and each time twice as long."""
        with budget.waiting():
            self.clock.sleep(_FIRST_PAUSE * 2 ** min(attempt, 6))

    @contextmanager
    def _hop(
        self, address: WebAddress, budget: Budget, headers: Mapping[str, str], content: bytes | None
    ) -> Iterator[Answer]:
        with self._turn(address, budget), self._network.spending(budget):
            try:
                with self._asked(address, headers, content) as response:
                    budget.head_left = None
                    yield Answer(address, response.status, _folded(response.headers), response.iter_stream())
            except FetchError:
                raise
            except Exception as error:
                told = _told(error, address, budget)
                if told is None:
                    raise
                raise told from error

    @contextmanager
    def _turn(self, address: WebAddress, budget: Budget) -> Iterator[None]:
        with ExitStack() as stack:
            with budget.waiting():
                stack.enter_context(self._turns.turn(address.host))
            yield

    @contextmanager
    def _asked(
        self, address: WebAddress, headers: Mapping[str, str], content: bytes | None
    ) -> Iterator[httpcore2.Response]:
        sent: dict[bytes | str, bytes | str] = {
            "Host": address.authority,
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
        sent.update(headers.items())
        method = "GET" if content is None else "POST"
        if content is not None:
            sent["Content-Length"] = str(len(content))
        scheme, target = address.scheme.encode(), address.target.encode()
        if self._proxy is None:
            url = httpcore2.URL(scheme=scheme, host=address.host.encode(), port=address.port, target=target)
            with self._pool(address.scheme).stream(method, url, headers=sent, content=content) as response:
                yield response
            return
        # The proxy is told the judged address, not the name, which it might resolve to something else. Each request
        # has a pool of its own, because a kept tunnel would serve any other name at that address.
        judged = self._network.judged_addresses(address.host, address.port)[0]
        url = httpcore2.URL(scheme=scheme, host=judged.encode(), port=address.port, target=target)
        with self._proxy.pool(self._trusted(address.scheme), self._network) as pool:
            extensions = {"sni_hostname": address.host}
            with pool.stream(method, url, headers=sent, content=content, extensions=extensions) as response:
                yield response

    def _pool(self, scheme: str) -> httpcore2.ConnectionPool:
        with self._lock:
            if scheme not in self._pools:
                self._pools[scheme] = httpcore2.ConnectionPool(
                    ssl_context=self._trusted(scheme),
                    max_connections=None,
                    max_keepalive_connections=_KEPT_CONNECTIONS,
                    keepalive_expiry=_KEPT_SECONDS,
                    network_backend=self._network,
                )
            return self._pools[scheme]

    def _trusted(self, scheme: str) -> ssl.SSLContext | None:
        """The trusted certificates, read at the first use: that takes a twentieth of a second."""
        if scheme == "https" and self._tls is None:
            self._tls = _system_tls()
        return self._tls

    def _next(self, here: WebAddress, answer: Answer) -> WebAddress:
        location = answer.headers.get("location")
        if not location:
            raise FetchFailed(f"{here.shown} redirects, but does not say where to.", answer.status)
        there = redirected(here, location, self.ports)
        if here.scheme == "https" and there.scheme == "http" and not self._allow_downgrade:
            raise FetchRefused(
                f"{here.shown} redirects to {there.shown}, which is not encrypted: allow_downgrade permits that."
            )
        return there

    def _check(self, answer: Answer, accept: Collection[int], budget: Budget) -> None:
        if answer.status in accept:
            return
        shown, status = answer.address.shown, answer.status
        if status not in _PASSING:
            raise FetchFailed(f"{shown} answers with status {status} instead of the file: check the address.", status)
        wait = retry_after(answer.headers.get("retry-after", ""), self.clock.now())
        if wait is not None and wait > budget.limits.longest_wait:
            raise FetchLater(_come_back(shown, status, wait, self.clock.now()), status, wait)
        if wait is not None:
            self._turns.hold(answer.address.host, wait)
        failed = FetchFailed(f"{shown} answers with status {status}: the server is busy or ill, try later.", status)
        failed.passing = True
        raise failed


def _come_back(shown: str, status: int, wait: float, now: datetime) -> str:
    try:
        when = f"not before {(now + timedelta(seconds=wait)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        when = "never"
    return f"{shown} answers with status {status} and asks to come back {when}: try again then."


def _folded(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode("utf-8")
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    return folded


def _told(error: Exception, address: WebAddress, budget: Budget) -> FetchError | None:
    """The sentence for an error of the transport; None for what is none."""
    told: FetchError
    cause = error.args[0] if error.args else error
    match error:
        case httpcore2.TimeoutException():
            limits = budget.limits
            limit = f"{limits.total_seconds:g} seconds in all" if budget.spent else _step(error, limits)
            told = FetchTooSlow(f"{address.shown} took longer than {limit}: try later, or raise the limit.")
            told.passing = not budget.spent
        case httpcore2.ConnectError() if isinstance(cause, ssl.SSLCertVerificationError):
            told = FetchFailed(
                f"{address.shown} shows no valid certificate for {address.host} ({cause.verify_message}): it may be"
                " somebody else's server, so nothing was asked."
            )
        case httpcore2.ConnectError() if isinstance(cause, ssl.SSLError):
            told = FetchFailed(f"{address.shown} can't agree on an encrypted connection ({cause.reason}).")
        case httpcore2.NetworkError() | httpcore2.ProtocolError() | httpcore2.ProxyError():
            reason = printable(str(error)[:120]).rstrip(".") or type(error).__name__
            told = FetchFailed(f"{address.shown} broke off or spoke no HTTP ({reason}): try later.")
            told.passing = not isinstance(error, httpcore2.ProxyError)
        case _:
            return None
    return told


def _step(error: Exception, limits: FetchLimits) -> str:
    if isinstance(error, httpcore2.ConnectTimeout):
        return f"{limits.connect_seconds:g} seconds to connect"
    return f"{limits.read_seconds:g} seconds between two pieces"


def check_length(answer: Answer, most: int) -> None:
    """Refuse a body that says of itself that it is too long. Raises FetchTooLarge."""
    if answer.length is not None and answer.length > most:
        raise FetchTooLarge(
            f"{answer.address.shown} has {answer.length:,} bytes, at most {most:,} are allowed: raise received_bytes"
            " (--max-bytes) if that is meant."
        )


@dataclass(frozen=True, slots=True)
class _Proxy:
    url: httpcore2.URL
    login: tuple[str, str] | None = field(repr=False)

    def pool(self, tls: ssl.SSLContext | None, network: GuardedNetwork) -> httpcore2.HTTPProxy:
        return httpcore2.HTTPProxy(
            self.url,
            proxy_auth=self.login,
            ssl_context=tls,
            proxy_ssl_context=(tls or _system_tls()) if self.url.scheme == b"https" else None,
            network_backend=network,
        )


def _proxy_address(proxy: str) -> _Proxy:
    try:
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
        port = parts.port or (443 if parts.scheme == "https" else 80)
        url = httpcore2.URL(scheme=parts.scheme.encode(), host=parts.hostname.encode("ascii"), port=port, target=b"/")
    except ValueError:
        raise UsageError("The proxy is not of the form http://host:port, or https.") from None
    return _Proxy(url, (parts.username, parts.password or "") if parts.username is not None else None)


def _system_tls() -> ssl.SSLContext:
    """The certificates that the operating system trusts, whatever the environment says."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)
