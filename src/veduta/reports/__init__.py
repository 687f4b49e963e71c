"""Pages and pictures for people. ``bars(prediction)`` draws one prediction as a bar graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veduta.reports.bar_graph import bars as bars

__all__ = ["bars"]


def __getattr__(name: str) -> Any:
    if name != "bars":
        raise AttributeError(f"module 'veduta.reports' has no attribute {name!r}")
    from veduta.reports.bar_graph import bars

    return bars
