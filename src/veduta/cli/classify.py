"""``veduta classify``: photos sorted into classes of which nothing but the names is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import finish, open_ledger, progress_bar, say, stages

if TYPE_CHECKING:
    from veduta.datasets.search.found import Provider
    from veduta.workflows.classify import Classified
    from veduta.workflows.teach import Learning

_ENGINES = ("google", "bing")
_PROVIDERS = ("openverse", "wikimedia", "flickr", *_ENGINES)
# What tells most of what was tried, see docs/training.md.
_NETWORK, _SIDE = "mobilenet_v2_hypercolumns", 320


def classify(
    classes: Annotated[
        str, typer.Option("--classes", "-c", help='The names of the classes: "cat,dog".', show_default=False)
    ],
    prediction_path: Annotated[
        list[str] | None,
        typer.Option(
            "--prediction_path",
            "--prediction-path",
            "-p",
            help="Photos to sort: a file, a folder or a glob; repeatable. Without it the model is made and no more.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", "-t", help="From this probability on a photo is sorted.", show_default="0.99"),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            help="Choose the threshold from which on so large a share is right, such as 0.997, by a lower bound.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The folder of the results.")
    ] = Path("results"),
    per_class: Annotated[int, typer.Option("--per-class", min=10, help="How many photos of each to find.")] = 600,
    query: Annotated[
        list[str] | None,
        typer.Option(help='Other words to search for: "cat=house cat,kitten". Repeatable.', show_default=False),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Where to find photos: {', '.join(_PROVIDERS)}, a folder with a folder for each class, or a CSV of "
            "addresses (url, query, ...). Repeatable.",
            show_default="openverse and wikimedia",
        ),
    ] = None,
    licence: Annotated[
        str,
        typer.Option("--licence", "--license", help="free, commercial, creative-commons, any, or codes as by,by-sa."),
    ] = "any",
    flickr_key: Annotated[
        str | None, typer.Option(envvar="FLICKR_KEY", help="Your key for flickr.", show_default=False)
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second to each host.")] = 4.0,
    min_side: Annotated[int, typer.Option(min=0, help="Photos whose shorter side has fewer pixels go.")] = 160,
    balance: Annotated[
        float | None,
        typer.Option(
            min=1, help="The largest class keeps at most so many times the photos of the smallest.", show_default="1"
        ),
    ] = None,
    any_balance: Annotated[bool, typer.Option("--any-balance", help="Keep all photos of every class.")] = False,
    disown: Annotated[
        bool, typer.Option(help="Leave out photos that the other photos of their class disown (extra classify).")
    ] = True,
    drawings: Annotated[bool, typer.Option("--drawings", help="Keep drawings and logos.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Learn behind this model's embedding.", show_default="places100"),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            help="Learn behind this network instead (extra train); none for --model.",
            show_default="mobilenet_v2_hypercolumns with the extra train, else none",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Its weights: a file, or hub to download them.", show_default="hub")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="The side in pixels that photos are shrunk to.", show_default="the model's; 320 for --arch"),
    ] = None,
    finetune: Annotated[
        bool, typer.Option(help="With --arch, train its last blocks too, and keep that where it is better.")
    ] = True,
    retrain: Annotated[bool, typer.Option("--retrain", help="Forget the model and make it anew.")] = False,
    copy: Annotated[bool, typer.Option("--copy/--link", help="Copy the photos, or link them.")] = False,
    pictures: Annotated[bool, typer.Option(help="Draw heat map and segmentation of each photo.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Draws what is left to chance.")] = 0,
    language: given.Language = "en",
    ledger: given.LedgerFile = None,
    no_ledger: given.NoLedger = False,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Sort photos into classes of which you have nothing but the names.

    \b
    veduta classify -c "cat,dog" -p ~/Pictures -t 0.99 --out results/
    veduta classify -c "crane bird,crane machine" -p photos/ --query "crane bird=grey crane,sandhill crane"
    veduta classify -c "cat,dog" -p photos/ --precision 0.997
    veduta classify -c "cat,dog" --provider photos/ --arch none

    A model of these classes that is there is used. Else photos are found, fetched, cleaned and learnt from, and the
    model stays for the next time. Stopped at any moment, the same command goes on. Needs the extra classify.
    docs/classify.md tells more.
    """
    from veduta.datasets.search.licences import Licences
    from veduta.datasets.search.mix import read_phrasings
    from veduta.errors import MissingExtra, UsageError
    from veduta.jobs.filing import check_results_folder

    try:
        from veduta.workflows import classify as work
        from veduta.workflows.gather import Wanted
    except ModuleNotFoundError as error:
        raise MissingExtra(f'classify needs {error.name}; install it with: pip install "veduta[classify]"') from error

    asked = work.Asked(work.read_names(classes, read_phrasings(query or ())), threshold, precision)
    if balance is not None and any_balance:
        raise UsageError("--balance and --any-balance can't both be meant; give one of them.")
    wanted = Wanted(
        asked.names,
        tuple(provider_named(each, flickr_key, quiet) for each in provider or ["openverse", "wikimedia"]),
        Licences.read(licence),
        per_class,
        least_side=min_side,
        ratio=None if any_balance else balance or 1.0,
        disown=disown,
        photographs=not drawings,
        seed=seed,
    )
    learning = _learning(model, arch, weights, size, finetune, seed)
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    photos = _checked(prediction_path or [])
    if photos:
        check_results_folder(out)
    with stages(quiet) as watch:
        bundle = work.find_model(asked.names, retrain=retrain, watch=watch)
        if bundle is None:
            with work.fetcher_for(rate) as fetcher:
                bundle = work.make_model(wanted, learning, fetcher, watch)
        decision = work.decide(bundle, asked, watch)
    if not photos:
        if not quiet:
            say(f"the model is {bundle.path}; use it: veduta classify -c {classes!r} -p PHOTOS")
        return
    with open_ledger(ledger, no_ledger) as opened, progress_bar(quiet) as show:
        done = work.sort_photos(
            bundle,
            photos,
            out,
            decision,
            ledger=opened,
            copy=copy,
            pictures=pictures,
            language=language,
            limits=limits,
            progress=show,
        )
    if not quiet and not done.summary.interrupted:
        _tell(done)
    finish(done.summary, quiet, [] if done.page is None else [str(out), str(done.page)])


def _learning(
    model: str | None, arch: str | None, weights: str | None, size: int | None, finetune: bool, seed: int
) -> Learning:
    """Behind a network where there is torch, else behind a model."""
    from importlib.util import find_spec

    from veduta.errors import UsageError
    from veduta.recognition.tagger import DEFAULT_MODEL
    from veduta.workflows.teach import Learning

    chosen = arch
    if arch is None and model is None and find_spec("torch") and find_spec("timm"):
        chosen = _NETWORK
    if chosen in (None, "none"):
        if weights is not None:
            raise UsageError("--weights are those of a network; name it (--arch), or leave them out.")
        return Learning(model or DEFAULT_MODEL, size=size, seed=seed)
    if model is not None:
        raise UsageError("--model and --arch are two things to learn behind; give one of them.")
    return Learning(
        DEFAULT_MODEL,
        chosen,
        weights,
        size or _SIDE,
        finetune,
        seed=seed,
        may_fall_back=arch is None and weights is None,
    )


def _checked(photos: list[str]) -> list[str]:
    """Refuse here what can't be sorted, before photos are fetched for it."""
    from veduta.errors import UsageError
    from veduta.images.sources import expand

    for each in photos:
        if each == "-":
            raise UsageError("-p takes files, folders and globs; - is none.")
        path = Path(each)
        try:
            if path.is_dir():
                next(path.iterdir(), None)
        except OSError as error:
            raise UsageError(f"the folder {each} can't be read ({error.strerror}); check its permissions.") from error
        next(expand([each]))
    return photos


def _tell(done: Classified) -> None:
    """How many photos lie in which folder, and what thresholds give."""
    from rich.table import Table

    from veduta.cli.model_facts import plain_console

    for name, count in done.counts.items():
        say(f"{name}: {count:,}")
    if not done.decision.rows:
        return
    table = Table("from", "photos here", "right of those above, held out", "right of all, held out")
    for row in done.decision.rows:
        above = sum(each >= row.threshold for each in done.confidences)
        share = "" if row.accuracy_above is None else f"{row.accuracy_above:.1%} of {row.above:,}"
        mark = " <" if row.threshold == done.decision.threshold else ""
        table.add_row(f"{row.threshold:.4g}{mark}", f"{above:,}", share, f"{row.accuracy_over_all:.1%}")
    plain_console().print(table)


def provider_named(name: str, flickr_key: str | None, quiet: bool) -> Provider:
    """A provider by its name, or a folder, or a list. Raises UsageError."""
    from veduta.datasets.search import engines
    from veduta.datasets.search.flickr import Flickr
    from veduta.datasets.search.openverse import Openverse
    from veduta.datasets.search.own import AddressList, Folder
    from veduta.datasets.search.wikimedia import Wikimedia
    from veduta.errors import UsageError

    if name in _ENGINES:
        engine = engines.google() if name == "google" else engines.bing()
        if not quiet:
            say(f"{name} tells no author and no licence; its terms are {engine.terms}")
        return engine
    if name == "flickr":
        if not flickr_key:
            raise UsageError("flickr needs a key of yours: --flickr-key, or FLICKR_KEY in the environment.")
        return Flickr(flickr_key)
    if name in ("openverse", "wikimedia"):
        return Openverse() if name == "openverse" else Wikimedia()
    path = Path(name)
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return AddressList.read(path)
    raise UsageError(
        f"--provider {name} is unknown and no folder or file; give {', '.join(_PROVIDERS)}, a folder or a CSV."
    )
