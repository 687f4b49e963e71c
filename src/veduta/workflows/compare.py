"""Which training suits a set of photos, or which of several models: all judged on the same photos, with their cost.

A comparison that was killed goes on with the same call: what is done is kept in its folder, by what it depends on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from veduta.errors import MissingExtra, OutputError, UsageError, VedutaError
from veduta.evaluation.comparison import Comparison, Missing, Outcome, Row, compare_on
from veduta.evaluation.metrics import sklearn_metrics
from veduta.images.limits import printable
from veduta.labels.text_file import listed, near_misses, shown
from veduta.models.bundle import Bundle
from veduta.models.threads import checked_threads
from veduta.recognition.tagger import Tagger, load
from veduta.reports.comparison import check_folder, claim_folder, write_comparison
from veduta.training.dataset import bundle_name
from veduta.workflows.cells import OUTCOME, Bench, CellWatch, do_cell, judge_bundle, kept_cell, key_of
from veduta.workflows.compared_photos import ComparedPhotos, divide, name_of, read_compared, write_divided
from veduta.workflows.grid import Cell, Grid, Settings, check_used, work_of
from veduta.workflows.outcomes import About, Measuring, keep_outcome, kept_outcome, places_of
from veduta.workflows.starts import find_starts

#: Where the set that trainings are compared on lies: all its photos, and what each is for.
DATA = "data"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a comparison tells on its way.

    ``begin`` is told the name of what begins, its number from 1, and how many there are; ``share`` how much of all work
    that is left is done, from 0 to 1; ``within`` a stage in words, how much of it is done, and of how much; ``outcome``
    and ``missing`` what came out, ``note`` a sentence.
    """

    begin: Callable[[str, int, int], None] = lambda _name, _number, _all: None
    share: Callable[[float], None] = lambda _share: None
    within: Callable[[str, int, int], None] = lambda _words, _done, _all: None
    outcome: Callable[[Outcome], None] = lambda _outcome: None
    missing: Callable[[Missing], None] = lambda _missing: None
    note: Callable[[str], None] = lambda _words: None


def compare_trainings(
    data: Path,
    out: Path,
    grid: Grid,
    settings: Settings = Settings(),  # noqa: B008
    *,
    test: Path | None = None,
    baseline: str | None = None,
    measuring: Measuring = Measuring(),  # noqa: B008
    watch: Watch = Watch(),
) -> Comparison:
    """Train every cell of ``grid`` on ``data``, judge all on its test part, and write the comparison into ``out``.

    ``data`` is what ``veduta train`` takes. All are judged on the set ``test``, as far as it shows the same classes,
    else on the photos that the data say are for testing, else on a seeded share of each class; a manifest in
    ``out/data`` tells which photos were for what. ``baseline`` is the name of the cell that the others are compared
    with, the best where it is None. A cell that fails is in ``missing`` with its sentence, and the others go on.

    Raises UsageError, TrainingError and MissingExtra for what can't be meant or is not there, before any training, and
    OutputError where nothing can be written any more; what is done by then is kept.
    """
    sklearn_metrics()
    cells = grid.cells
    _check_baseline(baseline, [cell.name for cell in cells])
    check_used(grid, settings)
    check_folder(out)
    divided = divide(data, share=settings.test, seed=settings.seed, test=test)
    if settings.validation is not None and any(entry.split == "validation" for entry in divided.entries):
        raise UsageError(
            f"{printable(str(data))} says itself which photos are for validation, so no share of "
            f"{settings.validation:g} can be held out; leave that out."
        )
    starts = find_starts(grid)
    claim_folder(out)
    photos = write_divided(divided, out / DATA / f"{bundle_name(name_of(data))}.csv", name_of(test or data))
    bench = Bench(out, photos, starts, settings, measuring)
    return _done([_training(cell, bench) for cell in cells], out, baseline, watch)


def compare_models(
    models: Sequence[str | Path],
    tests: Sequence[Path],
    out: Path,
    *,
    baseline: str | None = None,
    threads: int | None = None,
    measuring: Measuring = Measuring(),  # noqa: B008
    watch: Watch = Watch(),
) -> Comparison:
    """Judge finished models, by name or folder, on each of the sets ``tests``, and write the comparison into ``out``.

    A set is a folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest, of which the photos
    for testing count where it has splits. ``baseline`` is as in ``compare_trainings``, by a model's name.

    Raises UsageError where models and sets are of different tasks or share no label, what ``load`` raises for a model,
    MissingExtra without the extra evaluate: all before any photo is read. OutputError as ``compare_trainings``.
    """
    sklearn_metrics()
    taggers = [load(model, threads=threads) for model in models]
    sets = [read_compared(test) for test in tests]
    if not taggers or not sets:
        raise UsageError("a comparison needs a model and a set to judge it on; name one or more of each.")
    names = _distinct([tagger.bundle.name for tagger in taggers], [str(model) for model in models], "model")
    set_names = _distinct([each.name for each in sets], [str(test) for test in tests], "set")
    sets = [replace(each, name=name) for each, name in zip(sets, set_names, strict=True)]
    _check_baseline(baseline, names)
    _check_tasks(taggers, sets)
    check_folder(out)
    claim_folder(out)
    works = [
        _judging(tagger.bundle, name, photos, out, threads, measuring)
        for photos in sets
        for tagger, name in zip(taggers, names, strict=True)
    ]
    return _done(works, out, baseline, watch)


@dataclass(frozen=True, slots=True)
class _Work:
    """One thing to do: ``kept`` is its outcome from an earlier process, ``do`` makes it; ``amount`` is how much there
    is to do, relative to others.
    """

    name: str
    photos: ComparedPhotos
    amount: float
    kept: Callable[[], Outcome | None]
    do: Callable[[CellWatch], Outcome]


def _training(cell: Cell, bench: Bench) -> _Work:
    return _Work(
        cell.name,
        bench.photos.test,
        work_of(cell, bench.settings),
        kept=lambda: kept_cell(cell, bench),
        do=lambda watch: do_cell(cell, bench, watch),
    )


def _judging(
    bundle: Bundle, name: str, photos: ComparedPhotos, out: Path, threads: int | None, measuring: Measuring
) -> _Work:
    key = key_of(
        bundle=bundle.bundle_id, photos=photos.digest, threads=checked_threads(threads), measuring=asdict(measuring)
    )
    file = out / "cells" / key / OUTCOME
    about = About(name, name, min(bundle.preprocessing.sizes[0]))

    def kept() -> Outcome | None:
        known = kept_outcome(file, key)
        # What it is called depends on the others that are compared.
        return None if known is None else replace(known, name=name, model=name, data=photos.name)

    def do(watch: CellWatch) -> Outcome:
        outcome = judge_bundle(bundle, photos, about, threads, measuring, watch)
        keep_outcome(file, key, outcome)
        return outcome

    return _Work(name, photos, float(len(photos.samples)), kept, do)


def _done(works: Sequence[_Work], out: Path, baseline: str | None, watch: Watch) -> Comparison:
    """Do what is left of all works, and write the comparison of what there is, however that ends."""
    outcomes: dict[int, Outcome] = {}
    for place, work in enumerate(works):
        known = work.kept()
        if known is not None:
            outcomes[place] = known
    if outcomes:
        watch.note(f"{len(outcomes):,} of {len(works):,} are known from an earlier run")
    left = sum(work.amount for place, work in enumerate(works) if place not in outcomes)
    missing: dict[int, Missing] = {}
    try:
        done = 0.0
        for place, work in enumerate(works):
            if place in outcomes:
                continue
            watch.begin(work.name, place + 1, len(works))
            part = _part(watch, done / left, work.amount / left)
            try:
                outcomes[place] = work.do(part)
            except (OutputError, MissingExtra):
                raise  # of the machine, not of this one
            except VedutaError as error:
                missing[place] = Missing(work.name, work.photos.name, str(error))
                watch.missing(missing[place])
            else:
                watch.outcome(outcomes[place])
            done += work.amount
            watch.share(done / left)
    finally:
        comparison = _compared(works, outcomes, missing, baseline)
        write_comparison(out, comparison)
    return comparison


def _part(watch: Watch, before: float, share: float) -> CellWatch:
    return CellWatch(watch.within, lambda done: watch.share(before + share * done), watch.note)


def _compared(
    works: Sequence[_Work], outcomes: Mapping[int, Outcome], missing: Mapping[int, Missing], baseline: str | None
) -> Comparison:
    """What there is of all works, by set."""
    rows: list[Row] = []
    lost, notes = [missing[place] for place in sorted(missing)], []
    for name, photos in {work.photos.name: work.photos for work in works}.items():
        of_set = [outcomes[place] for place in sorted(outcomes) if works[place].photos.name == name]
        try:
            found = compare_on(of_set, photos.present, baseline=baseline)
        except UsageError as error:
            lost += [Missing(outcome.name, name, str(error)) for outcome in of_set]
            continue
        rows += found
        if found and found[0].photos < len(photos.samples):
            notes.append(_fewer(name, found, len(photos.samples)))
    return Comparison(works[0].photos.task, tuple(rows), tuple(lost), len(works), tuple(notes))


def _fewer(name: str, rows: Sequence[Row], count: int) -> str:
    """Why not all photos of a set count."""
    unknown = sorted({label for row in rows for label in row.outcome.unknown})
    reasons = []
    if unknown:
        reasons.append(f"not all models know {listed(unknown)}")
    if any(row.outcome.failures for row in rows):
        reasons.append(f"{max(row.outcome.failures for row in rows):,} can't be read")
    return (
        f"{name}: {rows[0].photos:,} of {count:,} photos count, those that every model answered; "
        f"{' and '.join(reasons) or 'some got no answer'}."
    )


def _check_baseline(baseline: str | None, names: Sequence[str]) -> None:
    if baseline is not None and baseline not in names:
        hint = near_misses(baseline, names) or f"; there are {listed(names)}."
        raise UsageError(f"the baseline '{shown(baseline)}' is none of what is compared{hint}")


def _check_tasks(taggers: Sequence[Tagger], sets: Sequence[ComparedPhotos]) -> None:
    tasks = {tagger.head.task: tagger.bundle.name for tagger in taggers}
    if len(tasks) > 1:
        raise UsageError(
            f"{tasks['single_label']} tells one label for each photo and {tasks['multi_label']} any number, so no "
            "figure compares them; compare models of one kind."
        )
    for photos in sets:
        known = [set(places_of(tagger, photos)) for tagger in taggers]
        if not set.intersection(*known):
            raise UsageError(
                f"no label of {photos.name} is known to all of {', '.join(each.bundle.name for each in taggers)}, so "
                "no photo would compare them; leave one of them or the set out."
            )


def _distinct(names: Sequence[str], typed: Sequence[str], what: str) -> list[str]:
    """Short names, and what was typed in place of those that several have. Raises UsageError for one named twice."""
    counts = Counter(names)
    found = [printable(name if counts[name] == 1 else as_typed) for name, as_typed in zip(names, typed, strict=True)]
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise UsageError(f"the {what} {twice[0]} is named twice; name it once.")
    return found
