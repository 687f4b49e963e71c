"""Which sets of labels hold the true one as often as asked, and are small: each way on photos that were held out.

Ways are compared on the photos that the bundled model never trained on; ``places100/val`` judges the one in use alone.
Each is calibrated on nine parts of the photos and measured on the tenth, in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.default_model import default_model
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, Settings
from veduta.evaluation.answers import ask, list_labelled
from veduta.evaluation.conformal import FOLDS, LEVEL, judge_label_sets
from veduta.evaluation.names import match_label
from veduta.images.pool import DecodePool
from veduta.models.threads import available_threads
from veduta.recognition.tagger import Tagger, load
from veduta.records import Sample
from veduta.training.places100.photos import HOLD_OUT_LIST

_SEED = 0
_LOW, _HIGH = 0.935, 0.965

#: Probabilities ``[n, classes]`` and a draw from 0 to 1 for each photo to how little each label conforms, likewise.
Score = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def run(settings: Settings) -> Report:
    """Compare the ways on held-out photos, then measure ours on the test photos."""
    report = Report("label-sets")
    tagger = load(default_model(settings))
    root = DATA / "places100" / "train"
    names = HOLD_OUT_LIST.read_text(encoding="utf-8").split("\n")[:-1]
    held = [Sample(str(root / name), name.partition("/")[0]) for name in names]
    said, true = _answers(tagger, _some(held, settings.scale.load))
    rows = []
    for name, score in _ways().items():
        figures = _figures(said, true, score)
        report.figures[name] = figures
        coverage, size, single, empty, worst = figures.values()
        rows.append((name, percent(coverage), f"{size:.2f}", percent(single), percent(empty), percent(worst, 0)))
    head = ("way", "held the true label", "labels in a set", "sets of one", "empty", "class of the least")
    report.tables.append(Table(f"Sets of labels at {percent(LEVEL, 0)}, {len(true):,} held-out photos", head, rows))
    _judge(report, tagger, settings)
    return report


def _judge(report: Report, tagger: Tagger, settings: Settings) -> None:
    said, true = _answers(tagger, _some(list_labelled(DATA / "places100" / "val"), settings.scale.load))
    found = judge_label_sets(tagger.labels, said, true)
    assert found is not None
    report.figures["val"] = {"coverage": found.coverage, "mean_size": found.mean_size}
    report.verdicts.append(
        Verdict(
            "conformal sets at 95 % on `places100/val`",
            "coverage 93.5 to 96.5 %",
            f"{percent(found.coverage)} of {found.photos:,}, {found.mean_size:.2f} labels on average",
            _LOW <= found.coverage <= _HIGH,
        )
    )


def _some(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many, spread over all."""
    return [
        samples[place] for place in np.unique(np.linspace(0, len(samples) - 1, min(most, len(samples))).astype(int))
    ]


def _answers(tagger: Tagger, samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    with DecodePool(available_threads()) as pool:
        answers = ask(tagger, samples, pool)
    places = [match_label(sample.label or "", tagger.labels) for sample in answers.samples]
    return answers.probabilities.astype(np.float64), np.array(places, np.int64)


def _ways() -> dict[str, Score]:
    ways: dict[str, Score] = {
        "least ambiguous (Sadinle et al. 2019)": lambda said, _: 1.0 - said,
        "**the same, the first label always (in use)**": _with_the_first,
        "adaptive (Romano et al. 2020)": lambda said, _: _adaptive(said),
        "adaptive, randomised": lambda said, drawn: _adaptive(said, drawn),
    }
    for penalty in (0.01, 0.05):
        ways[f"regularised from 5 labels on by {penalty} (Angelopoulos et al. 2021)"] = (
            lambda said, drawn, penalty=penalty: _adaptive(said, drawn, penalty, 5)  # type: ignore[misc]
        )
    return ways


def _with_the_first(said: NDArray[np.float64], _drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = 1.0 - said
    scores[np.arange(len(said)), said.argmax(axis=1)] = 0.0
    return scores


def _adaptive(
    said: NDArray[np.float64], drawn: NDArray[np.float64] | None = None, penalty: float = 0.0, free: int = 0
) -> NDArray[np.float64]:
    """What the labels down to each have together, less a drawn share of its own, and a penalty past ``free`` labels."""
    order = np.argsort(-said, axis=1, kind="stable")
    falling = np.take_along_axis(said, order, axis=1)
    scores = falling.cumsum(axis=1) + penalty * np.maximum(0, np.arange(1, said.shape[1] + 1) - free)
    if drawn is not None:
        scores -= falling * drawn[:, None]
    found: NDArray[np.float64] = np.empty_like(scores)
    np.put_along_axis(found, order, scores, axis=1)
    return found


def _figures(said: NDArray[np.float64], true: NDArray[np.int64], score: Score) -> dict[str, float]:
    random = np.random.default_rng(_SEED)
    count = len(true)
    scores = score(said, random.random(count))
    own = scores[np.arange(count), true]
    fold = random.permutation(count) % FOLDS
    sets = np.zeros(said.shape, bool)
    for part in range(FOLDS):
        known = np.sort(own[fold != part])
        place = min(len(known), int(np.ceil((len(known) + 1) * LEVEL - 1e-9)))
        sets[fold == part] = scores[fold == part] <= known[place - 1]
    covered, sizes = sets[np.arange(count), true], sets.sum(axis=1)
    return {
        "coverage": float(covered.mean()),
        "mean_size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
        "empty": float((sizes == 0).mean()),
        "worst_class": min(float(covered[true == each].mean()) for each in np.unique(true)),
    }
