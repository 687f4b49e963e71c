"""What servers answer about when to come back; our downloads and our client both obey it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds to wait as a Retry-After header says (RFC 9110, 10.2.3: seconds or a date); None where it is neither."""
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value, re.ASCII):
        return float(value) if len(value) <= 12 else math.inf
    try:
        when = parsedate_to_datetime(value)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
