"""The page in a real browser: every way to bring a photo, what it shows of the answer, and what it says of errors."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from veduta.images.fetch import Fetcher, Politeness
from veduta.images.samples import SAMPLES

from ..images.conftest import LoopbackServer
from .browsing import Visit, chromium, visit
from .conftest import photo
from .running import Running, until

pytestmark = pytest.mark.alone

HOSTILE = "\u202e<img src=x onerror=alert(1)>" + "very-" * 30 + "long.jpg"
LANGUAGES = {"en": "Indoors", "de": "Innen", "ru": "Внутри", "pt": "Interior", "zh": "室内"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def on(browser: Any, server: Running) -> Iterator[Visit]:
    with visit(browser, server) as made:
        yield made


def named(name: str, data: bytes | None = None, kind: str = "image/jpeg") -> Any:
    return {"name": name, "mimeType": kind, "buffer": photo() if data is None else data}


def choose(on: Visit, *files: Any) -> None:
    on.find("file-input").set_input_files(list(files))


# Ways to bring a photo


def test_a_photo_is_browsed_for(on: Visit) -> None:
    on.open()
    choose(on, named("kitchen.jpg"))
    on.answered()
    assert on.find("scenes").locator('[data-testid="bar"]').count() == 5
    assert "kitchen.jpg" in on.find("answer").inner_text()


def test_a_photo_is_dropped(on: Visit) -> None:
    on.open()
    on.page.evaluate(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
            for (const type of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(
                    new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(photo()).decode(),
    )
    on.answered()
    assert "dropped.jpg" in on.find("answer").inner_text()


def test_a_photo_is_pasted(on: Visit) -> None:
    on.open()
    on.page.evaluate(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "image.png", { type: "image/jpeg" }));
            document.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(photo()).decode(),
    )
    on.answered()


def test_a_photo_comes_from_the_camera_of_a_phone(browser: Any, server: Running) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as on:
        on.open()
        assert on.find("camera-input").get_attribute("capture") == "environment"
        on.find("camera-input").set_input_files([named("camera.jpg")])
        on.answered()


@pytest.fixture
def reaching_loopback(store: Path) -> Iterator[Running]:
    fetcher = Fetcher(allow_loopback=True, ports=range(1, 65_536), politeness=Politeness(interval_seconds=0))
    with Running(fetcher=fetcher) as server:
        yield server


def test_a_link_is_pasted_and_the_photo_is_shown_though_the_page_loads_nothing_from_elsewhere(
    browser: Any, reaching_loopback: Running, serve: Callable[..., LoopbackServer]
) -> None:
    data = SAMPLES[0].path.read_bytes()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(data)
    address = serve(lambda _, connection: connection.sendall(head + data)).url + "/beach.jpg"
    with visit(browser, reaching_loopback) as on:
        on.open()
        on.find("url-field").fill(address)
        on.find("url-button").click()
        on.answered()
        shown = on.page.locator("#answer img.shown")
        shown.wait_for()
        assert shown.get_attribute("src").startswith("data:image/jpeg")
        on.find("heat-layer").wait_for()


def test_a_link_that_is_refused_is_told_in_a_sentence(on: Visit) -> None:
    on.open()
    on.find("url-field").fill("http://127.0.0.1:9/photo.jpg")
    on.find("url-button").click()
    on.find("alert").wait_for()
    assert "public" in on.find("alert").inner_text()


@pytest.mark.parametrize("sample", [sample.id for sample in SAMPLES])
def test_each_sample_is_answered(on: Visit, sample: str) -> None:
    on.open()
    on.find("sample", sample=sample).click()
    fits = on.answered().get_attribute("data-fits")
    assert fits in ("true", "false")
    if sample == "chelsea":
        assert fits == "false"
        assert on.find("heat-layer").is_hidden()
    assert f"sample={sample}" in on.page.url


# What is shown


@pytest.mark.parametrize("model", ["places100", "places365-squeezenet", "corner"])
def test_each_model_answers(on: Visit, model: str) -> None:
    on.open()
    on.find("model", model=model).check()
    for box in on.find("model").all():
        if box.get_attribute("data-model") != model:
            box.uncheck()
    on.find("sample", sample="coffee").click()
    on.answered()
    assert model in on.find("raw-json").text_content() or on.find("raw").count()
    assert f"models={model}" in on.page.url or model == "places100"


def test_all_models_are_compared(on: Visit) -> None:
    on.open()
    on.find("models-all").check()
    on.find("sample", sample="china").click()
    on.find("comparison").wait_for()
    assert on.find("model-card").count() == 3
    assert on.find("vote").count() >= 1
    assert on.find("surest").count() >= 1
    assert "corner" in on.find("comparison").inner_text()
    assert "models=all" in on.page.url


def test_a_model_that_fails_leaves_the_others_answers(on: Visit, store: Path) -> None:
    import shutil

    broken = store / "models" / "broken"
    shutil.copytree(store / "models" / "corner", broken)
    (broken / "model.onnx").write_bytes(b"nothing of the kind")
    try:
        on.open()
        on.find("models-all").check()
        on.find("sample", sample="china").click()
        on.find("model-failure").wait_for()
        assert "broken" in on.find("model-failure").inner_text()
        assert on.find("model-card").count() == 3
    finally:
        shutil.rmtree(broken)


def test_the_heat_map_lies_over_the_photo_and_its_strength_can_be_set(on: Visit) -> None:
    on.open()
    on.find("sample", sample="china").click()
    on.find("heat-layer").wait_for()
    boxes = on.page.locator("#answer img.shown").bounding_box(), on.find("heat-layer").bounding_box()
    for side in ("x", "y", "width", "height"):
        assert boxes[0][side] == pytest.approx(boxes[1][side], abs=1)
    for value, opacity in ((0, "0"), (100, "1")):
        on.find("opacity").fill(str(value))
        # It takes a moment to fade.
        until(
            lambda opacity=opacity: (
                on.find("heat-layer").evaluate("(image) => getComputedStyle(image).opacity") == opacity
            )
        )
    on.find("heatmap").click()
    on.find("heat-layer").wait_for(state="hidden")


def test_another_class_is_explained_by_a_click(on: Visit) -> None:
    on.open()
    on.find("sample", sample="china").click()
    layer = on.find("heat-layer")
    layer.wait_for()
    first = layer.get_attribute("data-label"), layer.get_attribute("src")
    second = on.find("bar").nth(1)
    wanted = second.get_attribute("data-id")
    second.click()
    on.page.locator(f'[data-testid="heat-layer"][data-label="{wanted}"]').wait_for()
    assert (layer.get_attribute("data-label"), layer.get_attribute("src")) != first
    assert second.get_attribute("aria-pressed") == "true"
    assert on.find("explain").input_value().endswith(str(wanted))


def test_attributes_facts_and_raw_json_are_there(on: Visit) -> None:
    on.open()
    on.find("sample", sample="china").click()
    on.answered()
    assert on.find("attributes-photo").count() + on.find("attributes-scene").count() >= 1
    assert "places100" in on.find("facts").inner_text() or on.find("facts").count()
    on.find("raw").locator("summary").click()
    assert '"probability"' in on.find("raw-json").inner_text()


def test_a_link_shares_the_settings_and_the_photo(browser: Any, server: Running) -> None:
    with visit(browser, server) as on:
        on.open("/?sample=coffee&models=places365-squeezenet&top_k=3&language=de&heatmap=off")
        on.answered()
        assert on.find("bar").count() >= 3
        assert on.page.locator("html").get_attribute("lang") == "de"
        assert on.find("top-k").input_value() == "3"


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_the_page_speaks_the_languages_of_the_labels(on: Visit, language: str) -> None:
    on.open()
    on.find("language").select_option(language)
    on.page.wait_for_selector(f'html[lang^="{language}"]')
    on.find("sample", sample="coffee").click()
    on.answered()
    on.page.locator('[data-testid="language"]').wait_for()
    on.find("model").first.wait_for()
    on.open(f"/?sample=china&language={language}")
    on.answered()
    assert LANGUAGES[language] in on.find("environment").inner_text()


def test_words_of_all_languages_are_the_same_and_have_the_same_places(request: pytest.FixtureRequest) -> None:
    import json
    import re

    folder = request.config.rootpath / "src" / "veduta" / "server" / "page"
    for kind in ("words", "about"):
        told = {name: json.loads((folder / f"{kind}.{name}.json").read_text()) for name in LANGUAGES}
        for name, words in told.items():
            assert set(words) == set(told["en"]), (kind, name)
            for key, text in words.items():
                assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", told["en"][key])), (
                    kind,
                    name,
                    key,
                )


# Many photos


def test_a_batch_fills_a_grid_and_its_table_is_downloaded(on: Visit) -> None:
    on.open()
    choose(on, named("one.jpg"), named("=cmd.jpg", photo(300, 200)), named("broken.jpg", b"\xff\xd8\xff\xe0 none"))
    on.find("batch-progress").wait_for()
    on.page.locator('[data-testid="batch-card"][data-state="done"]').nth(1).wait_for()
    on.find("batch-card", state="failed").wait_for()
    assert on.find("batch-error").count() == 1
    with on.page.expect_download() as downloading:
        on.find("csv").click()
    text = Path(downloading.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["file"] for row in rows] == ["one.jpg", "'=cmd.jpg", "broken.jpg"]
    assert rows[0]["probability"]
    assert rows[2]["error"]
    on.find("batch-open").first.click()
    on.answered()
    on.find("back").click()
    assert on.find("batch-card").count() == 3


def test_a_batch_can_be_cancelled(on: Visit) -> None:
    on.open()
    choose(on, *(named(f"{number}.jpg") for number in range(40)))
    on.find("batch-progress").wait_for()
    on.find("batch").locator('[data-testid="cancel"]').click()
    on.find("go-on").wait_for()
    assert on.find("batch-card", state="waiting").count() > 0


# Errors and hostile input


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (named("large.jpg", bytes(21 * 2**20)), "20"),
        (named("empty.jpg", b""), "empty.jpg"),
        (named("notes.txt", b"hello", "text/plain"), "notes.txt"),
        (named("cut.jpg", photo()[:60]), "cut.jpg"),
    ],
    ids=["21 MB", "empty", "no picture", "cut off"],
)
def test_a_file_that_cant_be_answered_is_told_and_the_next_one_is_answered(on: Visit, file: Any, told: str) -> None:
    on.open()
    choose(on, file)
    on.find("alert").wait_for()
    assert told in on.find("alert").inner_text()
    assert on.find("alert").get_attribute("role") == "alert"
    choose(on, named("good.jpg"))
    on.answered()


def test_a_server_that_is_gone_is_told(browser: Any) -> None:
    with Running() as server, visit(browser, server) as on:
        on.open()
        on.page.context.set_offline(True)
        choose(on, named("photo.jpg"))
        on.find("alert").wait_for()
        on.page.context.set_offline(False)
        on.find("try-again").click()
        on.answered()


def test_a_full_house_is_waited_for(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Running(queue=1) as server, visit(browser, server) as on:
        on.open()
        server.house.places.taken = 1
        choose(on, named("photo.jpg"))
        on.find("waiting").wait_for()
        on.page.wait_for_timeout(500)
        server.house.places.taken = 0
        on.answered()


def test_a_key_is_asked_for_where_one_is_needed(browser: Any) -> None:
    with Running(api_keys="open-sesame") as server, visit(browser, server) as on:
        on.page.goto(server.url)
        on.find("key-field").wait_for()
        on.find("key-field").fill("wrong")
        on.find("key-use").click()
        on.find("key-field").fill("open-sesame")
        on.find("key-use").click()
        on.find("model").first.wait_for()
        choose(on, named("photo.jpg"))
        on.answered()


def test_a_hostile_name_is_text(on: Visit) -> None:
    on.open()
    choose(on, named(HOSTILE))
    on.answered()
    assert on.page.locator('img[src="x"]').count() == 0
    assert "onerror=alert(1)" in on.find("answer").inner_text()
    assert on.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


# For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(browser: Any, server: Running, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="the extra dev is not installed").Axe()
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}

    def check(on: Visit, view: str) -> None:
        found = axe.run(on.page)["violations"]
        told = [(each["id"], each["impact"], [node["target"] for node in each["nodes"]][:3]) for each in found]
        assert not [each for each in told if each[1] in ("serious", "critical")], (view, told)
        assert on.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), view

    with visit(browser, server, **options) as on:
        on.open()
        on.find("sample").first.wait_for()
        check(on, "start")
        on.open("/?sample=china&models=all")
        on.find("comparison").wait_for()
        check(on, "all models")
        on.open("/?sample=chelsea")
        on.answered()
        check(on, "nothing fits")
        choose(on, named("one.jpg"), named("two.jpg"))
        on.page.locator('[data-testid="batch-card"][data-state="done"]').nth(1).wait_for()
        check(on, "batch")
        on.page.goto(server.url + "/about")
        on.find("about-model").first.wait_for()
        check(on, "about")


def test_the_keyboard_reaches_everything(on: Visit) -> None:
    on.open()
    on.find("sample").first.wait_for()
    reached = set()
    for _ in range(60):
        on.page.keyboard.press("Tab")
        reached.add(on.page.evaluate("() => document.activeElement?.dataset?.testid ?? null"))
    assert {"file-input", "url-field", "url-button", "sample", "model", "language", "theme", "heatmap"} <= reached
    on.find("sample", sample="china").focus()
    on.page.keyboard.press("Enter")
    on.answered()


def test_the_theme_is_chosen_and_kept(on: Visit) -> None:
    on.open()
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = on.page.evaluate(paper)
    while on.page.evaluate("() => document.documentElement.dataset.theme") != "dark":
        on.find("theme").click()
    assert on.page.evaluate(paper) != light
    on.open()
    assert on.page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_the_about_page_tells_the_cards_and_their_limits(on: Visit) -> None:
    on.page.goto(on.server.url + "/about")
    on.find("about-model").first.wait_for()
    assert on.find("about-model").count() == 3
    assert "57" in on.find("about-model", model="places100").inner_text()
    assert "curl" in on.find("examples").inner_text()


def test_the_page_weighs_little_before_photos(browser: Any, server: Running) -> None:
    with visit(browser, server) as on:
        sizes: dict[str, int] = {}

        def note(response: Any) -> None:
            if "/v1/" not in response.url:
                sizes[response.url] = len(response.body())

        on.page.on("response", note)
        on.open()
        on.find("sample").first.wait_for()
        on.page.wait_for_load_state("networkidle")
    total = sum(sizes.values())
    print(f"the page before photos: {total / 1000:.0f} kB in {len(sizes)} files")
    assert total <= 150_000
