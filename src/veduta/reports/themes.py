"""The colours of drawn pictures, light and dark, as those of ``assets/report.css``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """``paper`` is behind a picture; None leaves it transparent, for a page that has a paper of its own."""

    name: str
    paper: str | None
    ink: str
    soft: str
    line: str
    accent: str
    on_accent: str
    bad: str


PAPER = Theme("paper", "#fcfbf8", "#211f1b", "#625d53", "#dedad0", "#0c6157", "#ffffff", "#a3211d")
LIGHT = Theme("light", None, "#211f1b", "#625d53", "#dedad0", "#0c6157", "#ffffff", "#a3211d")
DARK = Theme("dark", None, "#ecebe4", "#a9a89d", "#363934", "#6cc9b6", "#0c1d19", "#ff9c92")
