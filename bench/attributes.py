"""How well the bundled model tells attributes, beside the frequencies of its scenes alone.

The 420 annotated photos answer for themselves: each fold is told by a model that has seen none of its photos, nor was
anything chosen by them, and their annotations are left out of the frequencies as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench.default_model import default_model
from bench.report import Report, Table, Verdict
from bench.settings import DATA, Settings
from veduta.labels.attributes import sun_attributes
from veduta.models.bundle import Bundle
from veduta.training.places100.attribute_figures import (
    ROUNDS,
    AttributeFigure,
    AttributeFigures,
    each_attribute,
    figures_of,
)
from veduta.training.places100.attribute_model import CHOICES, FOLDS
from veduta.training.places100.attributes import EVERY, read_model

# Of so many training photos of each category the full measurement takes every third, as the recipe does.
_ALL = 285


def run(settings: Settings) -> Report:
    """Judge with photos and with whole categories held out, over several dealings of the folds."""
    report = Report("attributes")
    settings.out.mkdir(parents=True, exist_ok=True)
    model = read_model(
        Bundle.load(default_model(settings)),
        DATA,
        every=EVERY * (_ALL // settings.scale.evidence),
        cache=settings.out / "attributes-embeddings.npz",
    )
    found: list[AttributeFigures] = []
    choices, rounds = (CHOICES[:1], 5) if settings.scale.name == "tiny" else (CHOICES, ROUNDS)
    for by_category in (False, True):
        for seed in range(settings.scale.rounds):
            judged = model.judge(by_category, seed, choices)
            found.append(figures_of(judged, model.annotated, by_category, rounds))
            if not by_category and not seed:
                each = each_attribute(judged, model.annotated, sun_attributes())
                report.figures["each attribute"] = [asdict(figure) for figure in each]
                details = _each_table(each)
    report.figures["held out"] = [asdict(figures) for figures in found]
    report.tables += [_table(found), details]
    report.verdicts += [_verdict(next(each for each in found if each.by_category == by)) for by in (False, True)]
    return report


def _table(found: Sequence[AttributeFigures]) -> Table:
    columns = ("held out", "figure", "frequencies", "model", "gain", "95 %", "weight, share chosen in each fold")
    rows = []
    for each in found:
        held_out = "categories" if each.by_category else "photos"
        chosen = "; ".join(f"{choice.weight:g}, {choice.share:g}" for choice in each.choices)
        for name, compared in (
            (f"mAP over {each.attributes}", each.precision),
            ("the same within folds", each.within),
            ("label ranking AP of a photo, all 102", each.ranking),
        ):
            values = (f"{value:.3f}" for value in (compared.frequencies, compared.model))
            rows.append((held_out, name, *values, f"{compared.gain:+.3f}", _interval(compared.gain_interval), chosen))
        error = each.calibration
        rows.append((held_out, "calibration error", "", f"{error.value:.4f}", "", _interval(error.interval), chosen))
    return Table(f"Attributes of {found[0].photos} photos, {FOLDS} folds", columns, rows, _NOTE)


_NOTE = (
    "Four rows are one dealing of the folds. The interval is that of the gain (paired bootstrap over photos), or of "
    "the calibration error. Within folds: with categories held out, each fold's model knows other categories, so that "
    "answers of two folds can't be put in one order."
)


def _each_table(each: Sequence[AttributeFigure]) -> Table:
    rows = [
        (str(figure.label.name), str(figure.photos), f"{figure.model:.2f}", f"{figure.frequencies:.2f}")
        for figure in each
    ]
    return Table("Each attribute, photos held out", ("attribute", "photos", "AP, model", "AP, frequencies"), rows)


def _verdict(figures: AttributeFigures) -> Verdict:
    compared = figures.precision
    held_out = "categories" if figures.by_category else "photos"
    low, high = compared.gain_interval
    return Verdict(
        f"attributes on {figures.photos} photos, {figures.attributes} with ≥ 10 positives, {held_out} held out: mAP",
        f"above the frequencies' {compared.frequencies:.3f} by its interval",
        f"{compared.model:.3f}, {low:+.3f} to {high:+.3f} more",
        low > 0,
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f} – {ends[1]:.3f}"
