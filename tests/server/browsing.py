"""A real browser on the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from .running import Running

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser, or a skip that says what is missing."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the extra dev is not installed: playwright is absent"
    )
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium here; `make browser` installs Debian's")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One page of a browser, and what went wrong on it: messages of its console, and requests to other origins."""

    page: Any
    server: Running
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Go there, and wait until the page has its words."""
        self.page.goto(self.server.url + path)
        self.page.wait_for_selector("html[data-ready]")

    def find(self, name: str, **attributes: str) -> Any:
        """The element of a test id, and of further ``data-`` attributes."""
        more = "".join(f'[data-{key}="{value}"]' for key, value in attributes.items())
        return self.page.locator(f'[data-testid="{name}"]{more}')

    def answered(self) -> Any:
        """The headline of the answer, when it is there."""
        headline = self.find("answer").locator('[data-testid="headline"]').first
        headline.wait_for()
        return headline


@contextmanager
def visit(browser: Any, server: Running, **options: Any) -> Iterator[Visit]:
    """A fresh page of a fresh profile."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | options))
    made = Visit(context.new_page(), server)

    def note(message: Any) -> None:
        # What the server refuses, the browser says too; the tests look at what the page says of it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            made.complaints.append(message.text)

    def request(sent: Any) -> None:
        if not sent.url.startswith((server.url, "blob:", "data:")):
            made.elsewhere.append(sent.url)

    made.page.on("console", note)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    made.page.on("request", request)
    try:
        yield made
        assert not made.complaints
        assert not made.elsewhere
    finally:
        context.close()
