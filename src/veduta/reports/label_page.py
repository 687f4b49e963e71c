"""What the page of an evaluation shows of a model that tells any number of labels."""

from __future__ import annotations

from pathlib import Path

from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.label_figures import LabelFigure
from veduta.images.pool import DecodePool
from veduta.labels.text_file import listed
from veduta.recognition.tagger import Tagger
from veduta.reports.figure_panels import calibration_panel, drop_table, failure_panel, not_judged
from veduta.reports.markup import Cell, Panel, count, figures_table, panel, paragraph, share, table, text, words
from veduta.reports.mistakes import label_cards
from veduta.reports.photo_pictures import put_photos

#: Labels without photos that are named.
MOST_NAMES = 50


def label_panels(folder: Path, evaluation: LabelEvaluation, tagger: Tagger, pool: DecodePool) -> list[Panel]:
    """The sections of the page, whose pictures are written into its folder. Raises OutputError."""
    judgement = evaluation.judgement
    panels = [
        _figures(evaluation),
        _labels(evaluation),
        calibration_panel(
            folder,
            judgement.calibration,
            judgement.bins,
            evaluation.conditions.caveat,
            "a label, every label of all photos",
        ),
        _worst(folder, evaluation, tagger, pool),
        _wild(evaluation) if evaluation.wild else None,
        failure_panel(evaluation.all_failures),
    ]
    return [each for each in panels if each is not None]


def _figures(evaluation: LabelEvaluation) -> Panel:
    judgement = evaluation.judgement
    never = listed([label.name for label in judgement.never_present], MOST_NAMES)
    return panel(
        "figures",
        "Figures",
        paragraph(
            f"Means over {len(judgement.labels):,} labels, each weighing the same. An interval holds the true value in "
            "95 of 100 such sets."
        ),
        figures_table((*judgement.metrics, *judgement.further)),
        paragraph(f"Not judged, for no photo has them: {never}." if judgement.never_present else "", kind="note"),
        not_judged(evaluation.left_out, {}, "label of the model"),
    )


def _wild(evaluation: LabelEvaluation) -> Panel:
    wild = evaluation.wild
    assert wild is not None
    judgement = wild.judgement
    return panel(
        "elsewhere",
        "On photos from elsewhere",
        paragraph(
            f"The same of {judgement.photos:,} photos of {judgement.data}. Average precision depends on how many "
            "photos have a label, so a set where labels are rarer looks harder. The interval of the drop is the "
            "bootstrap's."
        ),
        drop_table(evaluation.drops),
        "<h3>All figures there</h3>",
        figures_table((*judgement.metrics, *judgement.further)),
    )


def _labels(evaluation: LabelEvaluation) -> Panel:
    judgement = evaluation.judgement
    wanted = [f"{100 * each.precision:.4g} % right from" for each in next(iter(evaluation.promises.values()))]
    head = ("label", "photos", "average precision", "told", "precision", "recall", "F1", *wanted)
    rows = [_label(evaluation, each) for each in judgement.by_average_precision]
    told = (
        "Precision, recall and F1 are those of labels that are told from a probability of 1/2 on. The last columns are "
        "the probability from which on that share is right, 95 % sure; a dash: too few photos to promise this."
    )
    return panel("labels", "Label by label", paragraph(told), table(head, rows, sortable=True))


def _label(evaluation: LabelEvaluation, each: LabelFigure) -> tuple[Cell, ...]:
    promises = (
        Cell(f"{promise.threshold:.3f} <small>{promise.above:,} photos</small>", promise.threshold)
        if promise.threshold is not None
        else Cell("–", 2.0)
        for promise in evaluation.promises[each.label.id]
    )
    return (
        words(each.label.name),
        count(each.photos),
        share(each.average_precision, each.average_precision_interval),
        count(each.told),
        share(each.precision, each.precision_interval),
        share(each.recall, each.recall_interval),
        share(each.f1),
        *promises,
    )


def _worst(folder: Path, evaluation: LabelEvaluation, tagger: Tagger, pool: DecodePool) -> Panel:
    places = {each.place: evaluation.places[each.place] for each in evaluation.examples}
    wanted = [(photo.path, places[each.place]) for each in evaluation.examples for photo in (*each.have, *each.lack)]
    pictures = put_photos(folder, wanted, tagger, pool)
    parts = [
        f"<h3>{text(each.figure.label.name)} <small>average precision {each.figure.average_precision:.1%}, "
        f"{each.figure.photos:,} photos</small></h3>{label_cards(each, places[each.place], pictures)}"
        for each in evaluation.examples
    ]
    return panel(
        "worst",
        "The labels that are told worst",
        paragraph("The photos that took most from each; the coloured part is where the label was seen."),
        *parts,
    )
