"""``veduta models``: what is there, what a model is, whether it is whole, and making one of an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from veduta.cli.model_facts import bundle_facts, facts_table, input_text, metrics_table, plain_console, safe
from veduta.cli.weigh import weigh
from veduta.cli.weights import architectures, convert, pull
from veduta.errors import BundleError, UsageError
from veduta.images.preprocess import FILTERS, Preprocessing
from veduta.models.bundle import Bundle
from veduta.models.installing import forgotten_photos
from veduta.models.onnx_file import inspect_onnx
from veduta.models.store import available, find, home

models = typer.Typer(
    help="List, inspect, check, import, download, convert and weigh models. Example: veduta models list",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model's name, or the path of its folder.", show_default=False)
]


@models.command("list")
def list_models() -> None:
    """List the models that a name finds: those in the store and those that come with Veduta.

    Example: veduta models list
    """
    table = Table()
    table.add_column("Name", no_wrap=True)  # to be typed again, so never cut
    for heading in ("Kind", "Labels", "Input", "Where"):
        table.add_column(heading)
    for model in available():
        try:
            bundle = Bundle.load(model.path, verify=False)
        except BundleError as error:
            table.add_row(model.name, Text(f"unusable: {error}", style="red"), "", "", model.place)
            continue
        table.add_row(
            model.name,
            bundle.kind + _forgotten(model.path),
            ", ".join(
                f"{len(head.labels)}, {'not ' if head.temperature is None else ''}calibrated" for head in bundle.heads
            ),
            input_text(bundle.preprocessing),
            model.place,
        )
    console = plain_console()
    console.print(table)
    console.print(Text(f"The store is {home()}"), style="dim", soft_wrap=True)


def _forgotten(folder: Path) -> str:
    photos, since = forgotten_photos(folder)
    return f"; learnt from {photos:,} photo{'s' * (photos != 1)} to be forgotten since {since}" if photos else ""


@models.command("info")
def info(
    name: Name,
    layers: Annotated[bool, typer.Option("--layers", help="List the layers of the graph as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Tell what a model is: its input, heads, identities and measured figures.

    Example: veduta models info places100 --layers
    """
    bundle = Bundle.load(find(name))
    graph = inspect_onnx(bundle.graph, bundle.graph.read_bytes())
    nodes = [{"operation": node.op_type, "name": node.name} for node in graph.nodes] if layers else None
    outputs = {tensor.name: list(tensor.shape or ()) for tensor in graph.outputs}
    if as_json:
        facts = bundle_facts(bundle) | {"outputs": outputs} | ({} if nodes is None else {"layers": nodes})
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    console = plain_console()
    console.print(facts_table(bundle, outputs))
    if bundle.metrics:
        console.print(metrics_table(bundle.metrics))
    if nodes is not None:
        table = Table("#", "Operation", "Name", title=f"{len(nodes)} layers, {graph.weights / 1e6:.1f} MB of weights")
        for index, node in enumerate(nodes):
            table.add_row(str(index), safe(node["operation"]), safe(node["name"]))
        console.print(table)


@models.command("verify")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Names or folders; all models where none is named.", show_default=False
        ),
    ] = None,
) -> None:
    """Check every file of a model against its hashes, and its labels against its graph.

    Example: veduta models verify places100
    """
    console, first = plain_console(), None
    for name in names or [model.name for model in available()]:
        try:
            bundle = Bundle.load(find(name))
        except BundleError as error:
            first = first or error
            console.print(Text(f"{name}: unusable"), style="red", soft_wrap=True)
        else:
            console.print(Text(f"{name}: whole, bundle {bundle.bundle_id}"), soft_wrap=True)
    if first is not None:
        raise first


@models.command("import")
def import_model(
    *,
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="The ONNX file.", show_default=False)],
    name: Annotated[str, typer.Option(help="What the model shall be called.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with one row for each logit, in order: id or name, and environment (indoor, outdoor)."),
    ] = None,
    size: Annotated[
        int, typer.Option(help="Side of the square that the graph sees, in pixels.", min=1, max=4096)
    ] = 224,
    short_side: Annotated[
        int | None,
        typer.Option(
            help="Resize the short side to this, then crop the middle; the same as --size where left out.", max=8192
        ),
    ] = None,
    stretch: Annotated[bool, typer.Option("--stretch", help="Stretch the whole photo to the square, no crop.")] = False,
    filter: Annotated[str, typer.Option(help=f"Resampling: {', '.join(FILTERS)}.")] = "bilinear",
    multi_label: Annotated[bool, typer.Option("--multi-label", help="A sigmoid for each label, no softmax.")] = False,
    temperature: Annotated[
        float | None, typer.Option(help="Divide the logits by this, where somebody calibrated it.")
    ] = None,
    evidence_threshold: Annotated[
        float | None, typer.Option(help="Below this value of the output 'evidence', no label fits.")
    ] = None,
    license: Annotated[str | None, typer.Option(help="The model's licence, such as MIT.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of the same name.")] = False,
) -> None:
    """Make a model of an ONNX file and its list of labels, in the store.

    The graph takes 'images', uint8 RGB with rows first (n × height × width × 3),
    and normalises them itself. Its outputs are found by name: logits, and where
    it has them class_maps, embedding, evidence.

    Example: veduta models import places.onnx --name places --labels places365.csv
    """
    from veduta.models.importing import import_onnx

    bundle = import_onnx(
        graph,
        labels,
        name=name,
        preprocessing=_preprocessing(size, short_side, stretch, filter),
        task="multi_label" if multi_label else "single_label",
        temperature=temperature,
        evidence_threshold=evidence_threshold,
        license=license,
        overwrite=replace,
    )
    console = plain_console()
    console.print(facts_table(bundle, {}))
    console.print(Text(f"Written to {bundle.path}; try: veduta tag photo.jpg --model {bundle.name}"), soft_wrap=True)


def _preprocessing(size: int, short_side: int | None, stretch: bool, filter: str) -> Preprocessing:
    if filter not in FILTERS:
        raise UsageError(f"--filter: '{filter}' is unknown; choose one of {', '.join(FILTERS)}.")
    if stretch and short_side is not None:
        raise UsageError("--short-side: has no meaning with --stretch; leave one of them out.")
    if stretch:
        return Preprocessing("stretch", ((size, size),), filter)
    if short_side is not None and short_side < size:
        raise UsageError(f"--short-side: {short_side} is less than the crop of --size {size}; give {size} or more.")
    return Preprocessing("crop", ((size, size),), filter, short_side or size)


models.command("pull")(pull)
models.command("convert")(convert)
models.command("architectures")(architectures)
models.command("weigh")(weigh)
