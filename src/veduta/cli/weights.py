"""``veduta models pull`` and ``convert``: somebody's weights become a model in the store; and of which networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from veduta.cli.job import messages
from veduta.cli.model_facts import facts_table, plain_console, safe
from veduta.errors import MissingExtra, UsageError
from veduta.images.fetch_limits import FILE_LIMITS
from veduta.images.preprocess import FILTERS

if TYPE_CHECKING:
    from veduta.models.bundle import Bundle
    from veduta.training.pull import Watch

Photo = Annotated[
    list[Path] | None,
    typer.Option(
        "--photo",
        metavar="<path>",
        help="A photo of yours on which the graph is checked against torch, too. Repeatable.",
        show_default=False,
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a model of the same name.")]


def pull(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Whose weights; without it the list is printed.", show_default=False),
    ] = None,
    *,
    save_as: Annotated[
        str | None, typer.Option("--as", help="What the model shall be called.", show_default="NAME")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="What the file's SHA-256 must be, where you know it.", show_default=False)
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--from", metavar="<url>", help="A folder on the web with the same file.", show_default=False),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            metavar="<url>",
            help="Go through this proxy, http://host:port; no variable of the environment is read.",
            show_default="a direct connection",
        ),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option(min=1, metavar="<count>", help="The longest file to bring.", show_default="4 GiB")
    ] = FILE_LIMITS.received_bytes,
    photo: Photo = None,
    replace: Replace = False,
) -> None:
    """Download published weights and make a model of them (extra train).

    Known are the official Places365 networks, ImageNet's from torchvision and
    a few others.
    The file is kept in the user's cache and goes on where it was cut; its SHA-256
    is recorded at the first download, and another content is refused after it.

    veduta models pull
    veduta models pull places365-resnet50
    veduta models pull imagenet-resnet50 --proxy http://proxy.example:3128
    """
    if name is None:
        _list_published()
        return
    with _train_extra():
        from veduta.training.pull import pull as pull_weights
    from veduta.images.fetch import Fetcher

    limits = with_changes(FILE_LIMITS, received_bytes=max_bytes)
    with Fetcher(proxy=proxy, file_limits=limits) as fetcher, _watching() as watch:
        bundle = pull_weights(
            name,
            bundle_name=save_as,
            sha256=sha256,
            mirror=mirror,
            photos=photo or (),
            overwrite=replace,
            fetcher=fetcher,
            watch=watch,
        )
    _show(bundle)


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="safetensors, .pth, .pt or .pth.tar.")],
    *,
    architecture: Annotated[str, typer.Option("--architecture", "-a", help="The network, such as resnet50.")],
    labels: Annotated[
        str,
        typer.Option(help="Its classes in order: imagenet, places365, places100, or a CSV file (id, environment)."),
    ],
    name: Annotated[str, typer.Option(help="What the model shall be called.")],
    short_side: Annotated[
        int | None,
        typer.Option(
            help="Resize the short side to this, then crop the middle.", show_default="the architecture's usual one"
        ),
    ] = None,
    filter: Annotated[
        str | None,
        typer.Option(help=f"Resampling: {', '.join(FILTERS)}.", show_default="the architecture's usual one"),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Who trained it on what; goes into the card.", show_default=False)
    ] = None,
    license: Annotated[str | None, typer.Option(help="The weights' licence, such as MIT.", show_default=False)] = None,
    photo: Photo = None,
    replace: Replace = False,
) -> None:
    """Make a model of a file of weights: torchvision's, timm's or our own (extra train).

    Nothing in the file is run. Every tensor must have its place in the network,
    and the graph is checked against torch before anything is written.

    veduta models convert resnet50.pth -a resnet50 --labels imagenet --name mine
    """
    with _train_extra():
        from veduta.training.convert import convert as convert_weights
        from veduta.training.convert import labels_named
        from veduta.training.networks import find_architecture
    usual = find_architecture(architecture).preprocessing
    if filter is not None and filter not in FILTERS:
        raise UsageError(f"--filter: '{filter}' is unknown; choose one of {', '.join(FILTERS)}.")
    if short_side is not None and short_side < max(usual.sizes[0]):
        raise UsageError(
            f"--short-side: {short_side} is less than the crop of {usual.sizes[0][0]}; give as much or more."
        )
    with _watching() as watch:
        bundle = convert_weights(
            file,
            architecture=architecture,
            labels=labels_named(labels),
            name=name,
            preprocessing=with_changes(usual, filter=filter or usual.filter, short_side=short_side or usual.short_side),
            source=source,
            license=license,
            photos=photo or (),
            overwrite=replace,
            on_stage=watch.stage,
        )
    _show(bundle)


def architectures() -> None:
    """List the networks that can be trained or converted (extra train).

    Parameters are counted without the classifier. 'Sides' are those of the photos
    and crops that it takes, in pixels; published weights are those that
    `veduta models pull` lists.

    veduta models architectures
    veduta train photos/ --architecture convnext_tiny --weights hub --out runs/mine
    """
    with _train_extra():
        from veduta.training.architecture_facts import architecture_facts
    table = Table()
    table.add_column("Name", no_wrap=True)  # to be typed again, so never cut
    table.add_column("Parameters", justify="right")
    table.add_column("Sides", no_wrap=True)
    table.add_column("Published weights", overflow="fold")
    for each in architecture_facts():
        network = each.architecture
        table.add_row(
            network.name,
            f"{each.parameters / 1e6:.1f} M",
            f"from {network.smallest}" + (f" by {network.multiple}" if network.multiple > 1 else ""),
            ", ".join(name.replace(network.name, "…") for name in each.published) or "none",
        )
    console = plain_console()
    console.print(table)
    hint = "… is the network's name. For new classes each has class maps, from which heat maps come."
    console.print(Text(hint), style="dim", soft_wrap=True)


@contextmanager
def _train_extra() -> Iterator[None]:
    """torch lives in an extra; it is imported where a command needs it, so that `--help` does not wait for it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f'this needs {error.name}; install it with: pip install "veduta[train]"') from error


@contextmanager
def _watching() -> Iterator[Watch]:
    """A bar for the bytes of a download, a spinner for the rest, on a terminal; stages as lines elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from veduta.training.pull import Watch

    if not messages.is_terminal:
        yield Watch(stage=lambda words: messages.print(safe(words), markup=False))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=messages, transient=True) as bar:
        task = bar.add_task("", total=None)

        def on_bytes(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield Watch(on_bytes, lambda words: bar.reset(task, total=None, description=safe(words)))


def _list_published() -> None:
    from veduta.training.catalogue import PUBLISHED

    table = Table()
    table.add_column("Name", no_wrap=True)  # to be typed again, so never cut
    for heading in ("MB", "Licence", "From", "For"):
        table.add_column(heading)
    for entry in PUBLISHED.values():
        use = "training" if entry.labels is None else "tagging, training"
        table.add_row(entry.name, str(entry.megabytes), entry.license, entry.address.split("/")[2], use)
    console = plain_console()
    console.print(table)
    hint = "Get one with: veduta models pull NAME; train from one with: veduta train DATA --weights hub:NAME"
    console.print(Text(hint), style="dim", soft_wrap=True)


def _show(bundle: Bundle) -> None:
    console = plain_console()
    console.print(facts_table(bundle, {}))
    console.print(Text(f"Written to {bundle.path}; try: veduta tag photo.jpg --model {bundle.name}"), soft_wrap=True)
