"""How often one client may ask: so many requests in each second, minute, hour or day."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from veduta.errors import UsageError

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_FORM = re.compile(r"\s*([1-9][0-9]{0,8})\s*/\s*(second|minute|hour|day)\s*")
#: Clients that are counted at a time; a flood of made addresses must not take memory without end.
_MOST_CLIENTS = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """``60/minute``. Raises UsageError for anything else."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"The rate {text!r} can't be meant; give one such as 60/minute or 5/second.")
        return cls(int(match[1]), _SECONDS[match[2]])


class RateLimiter:
    """Counts requests by client in fixed windows of time. Used by the event loop's thread alone.

    Nothing runs beside it and nothing is kept of a window that is over, which the limiters of packages, made for stores
    that many processes share, do not offer.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._window = 0
        self._counts: Counter[str] = Counter()

    def wait(self, client: str) -> int:
        """Count a request: 0 where it is within the rate, else the seconds until it would be."""
        now = self._clock()
        window = int(now // self.rate.seconds)
        if window != self._window:
            self._window, self._counts = window, Counter()
        if client not in self._counts and len(self._counts) >= _MOST_CLIENTS:
            client = ""  # all further ones together
        self._counts[client] += 1
        if self._counts[client] <= self.rate.amount:
            return 0
        return max(1, round((window + 1) * self.rate.seconds - now))


def client_of(address: str) -> str:
    """Who asks, by address; of IPv6 the network of a household (/64), which has as many addresses as it likes."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)
