"""The pictures of the page in ``docs/``: stills and a walk through it, with the sample pictures alone.

``make pictures`` makes them anew from a server of its own and the Chromium that is installed.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bench.served import served
from bench.settings import ROOT
from bench.soak import make_store
from veduta.images.samples import SAMPLES

FOLDER = ROOT / "docs" / "pictures"
_SIZE = {"width": 1280, "height": 860}
_PHONE = {"width": 390, "height": 844}
#: The walk is shown smaller, and each step for so long.
_WALK_WIDTH, _STEP_MILLISECONDS = 960, 1800


class Walk:
    """A page that is walked through; ``step`` keeps what is to be seen."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[Image.Image] = []

    def find(self, name: str, more: str = "") -> Any:
        return self.page.locator(f'[data-testid="{name}"]{more}').first

    def step(self, still: str | None = None) -> None:
        self.page.wait_for_timeout(350)
        frame = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames.append(frame)
        if still is not None:
            save(frame, still)

    def answered(self) -> None:
        self.find("answer", ' [data-testid="headline"]').wait_for()
        self.page.wait_for_timeout(500)


def main() -> None:
    """Make all pictures."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("there is no Chromium here; `make browser` installs Debian's.")
    home = Path(tempfile.mkdtemp(prefix="veduta-pictures-"))
    try:
        make_store(home)
        (home / "models" / "places365-a").rename(home / "models" / "places365-squeezenet")
        shutil.rmtree(home / "models" / "places365-b")
        with served(home) as server, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
            address = f"http://127.0.0.1:{server.port}"
            walk(browser, address)
            phone(browser, address)
            browser.close()
    finally:
        shutil.rmtree(home)


def walk(browser: Any, address: str) -> None:
    """Through all that the page does, on a desk."""
    page = browser.new_page(viewport=_SIZE, color_scheme="light")
    on = Walk(page)
    page.goto(address)
    on.find("sample").wait_for()
    on.step("page-start.webp")
    on.find("sample", '[data-sample="china"]').click()
    on.answered()
    on.find("heat-layer").wait_for()
    on.step("page-answer.webp")
    on.find("opacity").fill("15")
    on.step()
    on.find("opacity").fill("75")
    page.locator('[data-testid="bar"]').nth(1).click()
    page.wait_for_timeout(600)
    on.step()
    on.find("models-all").check()
    on.find("comparison").wait_for()
    on.answered()
    on.step("page-comparison.webp")
    page.locator('[data-testid="model-card"]').first.scroll_into_view_if_needed()
    on.step()
    page.evaluate("scrollTo(0, 0)")
    on.find("language").select_option("de")
    page.wait_for_selector('html[lang="de"]')
    on.answered()
    on.step()
    on.find("language").select_option("en")
    page.wait_for_selector('html[lang="en"]')
    on.find("models-all").uncheck()
    on.find("sample", '[data-sample="chelsea"]').click()
    on.answered()
    on.step()
    on.find("file-input").set_input_files([str(sample.path) for sample in SAMPLES])
    page.locator('[data-testid="batch-card"][data-state="done"]').nth(len(SAMPLES) - 1).wait_for()
    on.step("page-batch.webp")
    page.goto(f"{address}/about")
    on.find("about-model").wait_for()
    on.step()
    frames = [_smaller(frame) for frame in on.frames]
    frames[0].save(
        FOLDER / "page-walkthrough.webp",
        save_all=True,
        append_images=frames[1:],
        duration=_STEP_MILLISECONDS,
        loop=0,
        quality=62,
        method=6,
    )
    page.close()


def phone(browser: Any, address: str) -> None:
    """The answer on a phone, in the dark."""
    page = browser.new_page(viewport=_PHONE, color_scheme="dark", device_scale_factor=2, has_touch=True)
    on = Walk(page)
    page.goto(f"{address}/?sample=china")
    on.answered()
    on.find("heat-layer").wait_for()
    on.step("page-phone-dark.webp")
    page.close()


def save(frame: Image.Image, name: str) -> None:
    """A still."""
    frame.save(FOLDER / name, quality=80, method=6)


def _smaller(frame: Image.Image) -> Image.Image:
    return frame.resize((_WALK_WIDTH, round(frame.height * _WALK_WIDTH / frame.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
