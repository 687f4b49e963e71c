"""From nothing but class names to sorted photos: look for a model of these classes, else make one; then use it."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from veduta.datasets.collect import LIMITS, Name
from veduta.datasets.duplicates import check_libraries
from veduta.datasets.passport import read_table
from veduta.errors import FetchError, MissingExtra, OutputError, UsageError
from veduta.evaluation.thresholds import GRID, Promise, ThresholdRow, threshold_for_precision, threshold_table
from veduta.images.decode import Limits, Thumbnail
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.images.sources import expand
from veduta.jobs.filing import RESERVED, Filing, FilingSink, check_results_folder
from veduta.jobs.ledger import Ledger
from veduta.jobs.pages import ReportSink
from veduta.jobs.pipeline import Progress, Summary, tag_photos
from veduta.jobs.plan import Options
from veduta.models.bundle import Bundle
from veduta.models.by_classes import find_by_classes, plain
from veduta.models.installing import forgotten_photos
from veduta.models.store import home
from veduta.recognition.tagger import load
from veduta.reports.tags import Corrections, TagReport
from veduta.training.held_out import HELD_OUT, HeldOut
from veduta.whole_file import not_written, write_whole
from veduta.workflows.collection import Collection
from veduta.workflows.gather import Wanted, gather
from veduta.workflows.teach import PASSPORT_TABLE, Learning, backbone_of, disowning, teach
from veduta.workflows.watch import Watch

#: From this probability on a photo is sorted, where nobody says otherwise.
THRESHOLD = 0.99

_THUMBNAIL = 320
_SUMMARY = (
    *("threshold", "held_out_above", "held_out_above_right", "held_out_right_of_those_above"),
    *("held_out_right_of_all", "photos_above", "photos_unsure", "chosen"),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """From which ``threshold`` on answers count, and why.

    ``rows`` are what thresholds gave on photos that were held out, none where the model keeps no such answers;
    ``promise`` is what was asked for and can be had.
    """

    threshold: float
    rows: tuple[ThresholdRow, ...] = ()
    promise: Promise | None = None


@dataclass(frozen=True, slots=True)
class Classified:
    """``counts`` photos lie in each folder; ``confidences`` are of all answered photos; ``page`` is the report."""

    bundle: Bundle
    decision: Decision
    summary: Summary
    counts: dict[str, int]
    confidences: tuple[float, ...]
    page: Path | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of photos: the classes as ``names``, and from where on an answer counts, see ``decide``.

    Raises UsageError for a threshold or a precision that is no probability, and for both.
    """

    names: tuple[Name, ...]
    threshold: float | None = None
    precision: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("threshold", self.threshold), ("precision", self.precision)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"--{name} {value:g} is no probability; give one from 0 to 1, such as 0.99.")
        if self.threshold is not None and self.precision is not None:
            raise UsageError("--threshold says from where on answers count, --precision asks for it; give one of them.")


def read_names(classes: str, phrasings: dict[str, tuple[str, ...]]) -> tuple[Name, ...]:
    """``cat, dog`` as names to look for, each by its phrasings or by itself.

    Raises UsageError for one class, equal ones, one that can't be a folder, and phrasings of another.
    """
    labels = [part.strip() for part in classes.split(",") if part.strip()]
    if len(labels) < 2:
        raise UsageError(
            f"the classes {printable(classes)!r} are fewer than two, and there is nothing to tell apart; name two or "
            'more: --classes "cat,dog".'
        )
    words: dict[str, str] = {}
    for label in labels:
        other = words.setdefault(plain(label), label)
        if other is not label:
            raise UsageError(f"the classes {printable(other)!r} and {printable(label)!r} are the same; name each once.")
        if label.casefold() in RESERVED:
            raise UsageError(f"the class {printable(label)!r} has a name that results need themselves; name another.")
    wrong = [name for name in phrasings if name not in labels]
    if wrong:
        raise UsageError(f"--query names {printable(wrong[0])!r}, which is no class; the classes are {classes}.")
    return tuple(Name(label, phrasings.get(label, (label,))) for label in labels)


def find_model(names: Sequence[Name], *, retrain: bool, watch: Watch) -> Bundle | None:
    """The model of these classes that is there; ``retrain`` forgets it, and what was learnt for it, but no photo."""
    labels = [name.label for name in names]
    bundle = find_by_classes(labels)
    if bundle is None:
        return None
    if retrain:
        if bundle.path.parent != home():
            watch.note(f"the model {bundle.name} comes with Veduta and stays; another is made beside it")
        else:
            try:
                shutil.rmtree(bundle.path)
            except OSError as error:
                raise not_written(bundle.path, error) from error
            watch.note(f"forgot the model {bundle.name}")
        Collection.of(labels).forget_stages()
        return None
    watch.note(f"there is a model of these classes: {bundle.path.name}; --retrain makes it anew")
    photos, since = forgotten_photos(bundle.path)
    if photos:
        watch.note(
            f"it learnt from {photos:,} photo{'s' * (photos != 1)} to be forgotten since {since}; --retrain learns "
            "without them"
        )
    return bundle


def make_model(wanted: Wanted, learning: Learning, fetcher: Fetcher, watch: Watch) -> Bundle:
    """Find photos, clean them, and learn; the same call goes on where it was stopped. What the stages raise."""
    _check_installed(wanted)
    collection = Collection.of(wanted.labels)
    watch.note(f"no model of these classes is there; making one in {collection.folder}")
    try:
        backbone = backbone_of(learning, collection, watch)
    except FetchError as error:
        if not learning.may_fall_back:
            raise
        watch.note(f"the weights of {learning.architecture} can't be had ({error}); learning behind {learning.model}")
        learning = replace(learning, architecture=None, size=None)
        backbone = backbone_of(learning, collection, watch)
    disown = disowning(backbone, learning, collection, watch)
    manifest = gather(wanted, collection, fetcher, disown, backbone.embedding_id, watch)
    return teach(manifest, backbone, learning, collection, watch)


def _check_installed(wanted: Wanted) -> None:
    """Raises MissingExtra for what a later stage would miss, before anything is fetched."""
    check_libraries()
    if wanted.disown and find_spec("cleanlab") is None:
        raise MissingExtra(
            'finding wrong photos needs cleanlab; install it with: pip install "veduta[classify]", or leave it out '
            "(--no-disown)."
        )


def decide(bundle: Bundle, asked: Asked, watch: Watch) -> Decision:
    """The threshold: as asked, or from which on the wanted precision holds, by photos that were held out.

    Raises UsageError where a precision is wanted of a model that keeps no such answers.
    """
    chosen, file = THRESHOLD if asked.threshold is None else asked.threshold, bundle.path / HELD_OUT
    if not file.is_file():
        if asked.precision is not None:
            raise UsageError(
                f"the model {bundle.name} keeps no answers that were held out, so no precision can be promised; give "
                "a threshold (-t), or make the model anew (--retrain)."
            )
        return Decision(chosen)
    confidence, right = HeldOut.read(file).answers(bundle.heads[0].temperature)
    promise = None if asked.precision is None else threshold_for_precision(confidence, right, asked.precision)
    if promise is not None:
        watch.note(promise.sentence)
        if promise.threshold is None:
            watch.note(f"the threshold is {chosen:g} instead, without a promise")
        else:
            chosen = promise.threshold
    return Decision(chosen, threshold_table(confidence, right, tuple(sorted({*GRID, chosen}))), promise)


def sort_photos(
    bundle: Bundle,
    photos: Sequence[str],
    out: Path,
    decision: Decision,
    *,
    ledger: Ledger,
    copy: bool = False,
    pictures: bool = True,
    language: str = "en",
    limits: Limits | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Classified:
    """Sort photos, as ``expand`` takes them, into ``out``; what an earlier run drew is not drawn again.

    Photos that lie in ``out`` itself are left out.

    Raises UsageError where ``out`` holds other things, and what ``tag_photos`` raises.
    """
    check_results_folder(out)
    tagger = load(bundle.path)
    sink = FilingSink(out, tagger, Filing(decision.threshold, copy, pictures))
    report = TagReport(
        out / "report",
        title="Sorted photos",
        model=bundle.name,
        language=language,
        corrections=Corrections(tuple(label.id for label in tagger.labels), decision.threshold),
    )
    page = ReportSink(report)
    options = Options(
        language=language,
        thumbnail=Thumbnail(_THUMBNAIL),
        heat_maps=pictures,
        kept_thumbnail=page.kept_thumbnail,
    )
    # The page tells paths that hold wherever its table is read.
    whole = [str(Path(photo).absolute()) for photo in photos]
    samples = (sample for sample in expand(whole) if out.absolute() not in Path(sample.path).parents)
    summary = tag_photos(
        samples, [tagger], ledger=ledger, sinks=[sink, page], limits=limits, options=options, progress=progress
    )
    if summary.interrupted:
        return Classified(bundle, decision, summary, sink.counts, tuple(sink.confidences), None)
    write_whole(out / "thresholds.csv", _thresholds(decision, sink.confidences))
    written = report.close(sink.counts | _learnt_from(bundle))
    return Classified(bundle, decision, summary, sink.counts, tuple(sink.confidences), written)


def _learnt_from(bundle: Bundle) -> dict[str, int]:
    """How many photos a model learnt from, and how many were dropped why, by the passport beside it."""
    try:
        rows = read_table(bundle.path / PASSPORT_TABLE)
    except OutputError:  # a model that was not made from names, or whose table somebody changed
        return {}
    reasons = Counter(row["dropped"].partition(":")[0] for row in rows if row["file"])
    learnt = reasons.pop("", 0)
    return {"learnt from": learnt} | {f"dropped: {reason}": count for reason, count in reasons.most_common()}


def fetcher_for(rate: float) -> Fetcher:
    """Fetches ``rate`` photos a second from each host, each within what one photo may cost."""
    from veduta.images.fetch import Politeness

    if not rate > 0:
        raise UsageError(f"--rate {rate:g} can't be meant; give requests a second, such as 4.")
    return Fetcher(limits=LIMITS, politeness=Politeness(interval_seconds=1 / rate))


def _thresholds(decision: Decision, confidences: Sequence[float]) -> bytes:
    """The summary: for each threshold what it gave on photos held out, and how many of these photos reach it."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_SUMMARY)
    for row in decision.rows or [ThresholdRow(each, 0, 0, 0, 0) for each in sorted({*GRID, decision.threshold})]:
        above = sum(each >= row.threshold for each in confidences)
        judged = row.above + row.below > 0
        table.writerow(
            (
                f"{row.threshold:.6g}",
                row.above if judged else "",
                row.above_right if judged else "",
                "" if row.accuracy_above is None else f"{row.accuracy_above:.4f}",
                f"{row.accuracy_over_all:.4f}" if judged else "",
                above,
                len(confidences) - above,
                "yes" if row.threshold == decision.threshold else "",
            )
        )
    return text.getvalue().encode()
