from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError
from veduta.labels.translations import LANGUAGES
from veduta.records import Environment, Evidence, Facts, Label, Prediction, Score
from veduta.reports import bar_graph as module
from veduta.reports.bar_graph import SIZE, bars

SCORES = tuple(
    Score(Label(name, name.replace("_", " ")), probability)
    for name, probability in (
        ("church/outdoor", 0.72),
        ("tower", 0.11),
        ("pagoda", 0.06),
        ("bar", 0.03),
        ("sky", 0.001),
    )
)


def prediction() -> Prediction:
    return Prediction(
        model="places100",
        bundle_id="0",
        precision="float32",
        facts=Facts("JPEG", 10, 10),
        crop=(0, 0, 10, 10),
        scores=SCORES,
        calibrated=True,
        environment=Environment("outdoor", 0.93, 0.9),
    )


def share_of(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    return float((np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 8).mean())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", [SIZE, (320, 240), (400, 1200)])
def test_a_picture_has_the_size_asked_for_in_every_language(language: str, size: tuple[int, int]) -> None:
    picture = bars(prediction(), language, size)
    assert (picture.size, picture.mode) == (size, "RGB")


def test_bars_are_as_long_as_the_probabilities() -> None:
    picture = np.asarray(bars(prediction())).astype(int)
    first, second = (
        int((np.abs(picture - colour).max(axis=2) < 3).sum(axis=1).max()) for colour in (module._FIRST, module._OTHERS)
    )
    assert second / first == pytest.approx(0.11 / 0.72, rel=0.05)


def test_where_nothing_fits_no_bar_stands_out() -> None:
    misfit = replace(prediction(), evidence=Evidence(0.1, 1.0, False, "it is a drawing"))
    assert share_of(bars(misfit), module._FIRST) < 1e-4


def test_a_prediction_without_environment_or_scores_has_a_picture_too() -> None:
    assert share_of(bars(replace(prediction(), environment=None)), module._OUTDOOR) == 0.0
    assert bars(replace(prediction(), scores=())).size == SIZE


def test_without_a_font_for_them_names_become_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_first_found", lambda names: None)
    russian, english = bars(prediction(), "ru"), bars(replace(prediction(), environment=None), "en")
    assert russian.size == english.size
    made_up = replace(prediction(), scores=(Score(Label("寺", "寺"), 0.5),))
    assert bars(made_up).size == SIZE


def test_a_long_name_is_cut_off_and_a_line_end_is_harmless() -> None:
    long = replace(prediction(), scores=(Score(Label("x", "very\nlong " * 60), 0.5),))
    assert bars(long).size == SIZE


def test_what_can_not_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        bars(prediction(), size=(100, 100))
    with pytest.raises(UsageError, match="'xx'"):
        bars(prediction(), "xx")
