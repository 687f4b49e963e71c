"""The page of sorted photos in a browser: wrong answers are corrected by a click, and come out as a set."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import pytest

from veduta.datasets.manifest import read_manifest
from veduta.reports.tags import Corrections, TagReport

from .test_tags import browse, row

# Runs the steps when the page is drawn, and leaves the table in it.
SCRIPT = """
addEventListener("load", async () => {
  while (!document.documentElement.dataset.ready) await new Promise((done) => setTimeout(done, 20));
  const groups = [...document.querySelectorAll(".correct")];
  %s
  const shown = document.createElement("pre");
  shown.id = "told";
  shown.textContent = await veduta.corrections.table();
  document.body.append(shown);
});
"""


def page(folder: Path, labels: tuple[str, ...], steps: str) -> Path:
    """Three photos: surely a cat, surely a dog, and perhaps a cat."""
    made = TagReport(folder, title="Sorted", model="m", corrections=Corrections(labels, 0.9))
    for number, (first, probability) in enumerate((("cat", 0.95), ("dog", 0.99), ("cat", 0.6))):
        scores = [{"id": first, "name": first, "probability": probability}]
        made.add(row(number, path=f'/photos/a, "{number}".jpg', scores=scores, coarse=[], environment=None))
    index = made.close()
    (folder / "assets" / "steps.js").write_text(SCRIPT % steps)
    index.write_text(index.read_text().replace("</body>", '<script src="assets/steps.js"></script></body>'))
    return index


def told(shown: str, tmp_path: Path) -> list[tuple[str, str]]:
    """Label and reason of each photo of the set that the page saves."""
    found = re.search(r'<pre id="told">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None
    (tmp_path / "corrected.csv").write_text(html.unescape(found[1]))
    manifest = read_manifest(tmp_path / "corrected.csv")
    assert [Path(entry.path).name for entry in manifest.entries] == [f'a, "{number}".jpg' for number in range(3)]
    return [(entry.labels[0], entry.dropped) for entry in manifest.entries]


def test_untouched_it_saves_the_sure_answers_and_drops_the_unsure(tmp_path: Path) -> None:
    shown = browse(page(tmp_path / "report", ("cat", "dog"), ""), tmp_path / "profile")
    assert told(shown, tmp_path) == [("cat", ""), ("dog", ""), ("cat", "unsure: nobody said what it shows")]


def test_a_click_corrects_a_photo_and_another_on_the_same_takes_it_back(tmp_path: Path) -> None:
    steps = "groups[0].children[1].click(); groups[1].children[0].click(); groups[1].children[0].click();"
    steps += "groups[2].children[1].click();"
    shown = browse(page(tmp_path / "report", ("cat", "dog"), steps), tmp_path / "profile")
    assert told(shown, tmp_path) == [("dog", ""), ("dog", ""), ("dog", "")]
    assert "2 corrected" in shown


def test_none_of_these_drops_a_photo_with_its_reason(tmp_path: Path) -> None:
    shown = browse(page(tmp_path / "report", ("cat", "dog"), "groups[0].children[2].click();"), tmp_path / "profile")
    assert told(shown, tmp_path)[0] == ("cat", "class: none of these")


def test_many_classes_are_a_list_to_choose_from(tmp_path: Path) -> None:
    labels = ("cat", "dog", *(f"class {number}" for number in range(8)))
    steps = """const list = groups[0].querySelector("select");
        list.value = "=class 3"; list.dispatchEvent(new Event("change"));"""
    shown = browse(page(tmp_path / "report", labels, steps), tmp_path / "profile")
    assert told(shown, tmp_path)[0] == ("class 3", "")


def test_unsure_only_shows_what_is_left_to_look_at(tmp_path: Path) -> None:
    steps = 'document.getElementById("unsure").click(); await new Promise((done) => setTimeout(done, 300));'
    shown = browse(page(tmp_path / "report", ("cat", "dog"), steps), tmp_path / "profile")
    assert len(re.findall(r'<article class="card"', shown)) == 1


def test_a_page_that_nobody_corrects_has_no_buttons_for_it(tmp_path: Path) -> None:
    made = TagReport(tmp_path / "report", title="Photos", model="m")
    made.add(row(0))
    shown = browse(made.close(), tmp_path / "profile")
    assert 'class="correct"' not in shown
    assert re.search(r'id="corrections" hidden', shown)


@pytest.mark.parametrize("label", ["</script>", "=cmd|'/C calc'!A0", "a,b", 'quote"'])
def test_no_label_leaves_its_cell(tmp_path: Path, label: str) -> None:
    shown = browse(page(tmp_path / "report", ("cat", label), "groups[0].children[1].click();"), tmp_path / "profile")
    found = re.search(r'<pre id="told">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None
    file = tmp_path / "corrected.csv"
    file.write_text(io.StringIO(html.unescape(found[1])).read())
    assert read_manifest(file).entries[0].labels == (label,)
