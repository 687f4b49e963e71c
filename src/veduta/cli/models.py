"""``veduta models``: what is there, what a model is, whether it is whole, and making one of an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from veduta.errors import BundleError, UsageError
from veduta.images.preprocess import FILTERS, Preprocessing
from veduta.models.bundle import Bundle, Head, Metric
from veduta.models.onnx_file import inspect_onnx
from veduta.models.store import available, find, home

models = typer.Typer(
    help="List, inspect, check and import models. Example: veduta models list",
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
            bundle.kind,
            ", ".join(
                f"{len(head.labels)}, {'not ' if head.temperature is None else ''}calibrated" for head in bundle.heads
            ),
            _input_text(bundle.preprocessing),
            model.place,
        )
    console = _console()
    console.print(table)
    console.print(Text(f"The store is {home()}"), style="dim", soft_wrap=True)


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
        facts = _facts(bundle) | {"outputs": outputs} | ({} if nodes is None else {"layers": nodes})
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    console = _console()
    console.print(_facts_table(bundle, outputs))
    if bundle.metrics:
        console.print(_metrics_table(bundle.metrics))
    if nodes is not None:
        table = Table("#", "Operation", "Name", title=f"{len(nodes)} layers, {graph.weights / 1e6:.1f} MB of weights")
        for index, node in enumerate(nodes):
            table.add_row(str(index), _safe(node["operation"]), _safe(node["name"]))
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
    console, first = _console(), None
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
    console = _console()
    console.print(_facts_table(bundle, {}))
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


def _console() -> Console:
    # Names and paths are not markup, and not emoji codes.
    return Console(markup=False, emoji=False, highlight=False)


def _facts(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "path": str(bundle.path),
        "kind": bundle.kind,
        "input": _input_text(bundle.preprocessing),
        "heads": [
            {
                "name": head.name,
                "task": head.task,
                "labels": [label.id for label in head.labels],
                "temperature": head.temperature,
                "class_maps": head.class_maps,
                "class_maps_mean_is_logits": head.class_maps_mean_is_logits,
            }
            for head in bundle.heads
        ],
        "embedding": None if bundle.embedding is None else bundle.embedding.size,
        "evidence": None if bundle.evidence is None else bundle.evidence.threshold,
        "architecture": bundle.architecture,
        "weights": bundle.has_weights,
        "license": bundle.license,
        "embedding_id": bundle.embedding_id,
        "bundle_id": bundle.bundle_id,
        "metrics": [
            {"name": each.name, "value": each.value, "data": each.data, "count": each.count, "interval": each.interval}
            for each in bundle.metrics
        ],
    }


def _facts_table(bundle: Bundle, outputs: dict[str, list[int | str | None]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("name", bundle.name)
    table.add_row("folder", str(bundle.path))
    table.add_row("kind", bundle.kind)
    table.add_row("input", _input_text(bundle.preprocessing))
    for head in bundle.heads:
        table.add_row(f"head {head.name}", _head_text(head))
    if bundle.embedding is not None:
        table.add_row("embedding", f"{bundle.embedding.size} numbers")
    if bundle.evidence is not None:
        table.add_row("evidence", f"nothing fits below {bundle.evidence.threshold:g}: {bundle.evidence.reason}")
    if outputs:
        table.add_row("outputs", ", ".join(f"{name} {_shape_text(shape)}" for name, shape in outputs.items()))
    table.add_row("architecture", bundle.architecture or "not told")
    table.add_row("trainable", "yes, with weights.safetensors" if bundle.has_weights else "no")
    table.add_row("licence", bundle.license or "not told")
    table.add_row("embedding id", bundle.embedding_id)
    table.add_row("bundle id", bundle.bundle_id)
    return table


def _metrics_table(metrics: tuple[Metric, ...]) -> Table:
    table = Table("Measured", "Value", "95 % interval", "Photos", "Data")
    for each in metrics:
        interval = "" if each.interval is None else f"{each.interval[0]:.4g} to {each.interval[1]:.4g}"
        table.add_row(each.name, f"{each.value:.4g}", interval, str(each.count), each.data)
    return table


def _head_text(head: Head) -> str:
    calibration = "not calibrated" if head.temperature is None else f"temperature {head.temperature:.4g}"
    maps = "no class maps" if head.class_maps is None else "class maps"
    if head.class_maps_mean_is_logits:
        maps += " whose mean is the logits"
    outdoor = sum(label.environment is not None for label in head.labels)
    coarse = sum(label.coarse is not None for label in head.labels)
    return (
        f"{len(head.labels)} labels ({outdoor} with an environment, {coarse} with a coarse label), "
        f"{head.task.replace('_', ' ')}, {calibration}, {maps}"
    )


def _input_text(preprocessing: Preprocessing) -> str:
    sizes = ", ".join(f"{height}×{width}" for height, width in preprocessing.sizes)
    if preprocessing.fit == "stretch":
        return f"stretched to {sizes}, {preprocessing.filter}"
    return f"{sizes} from short side {preprocessing.short_side}, {preprocessing.filter}"


def _shape_text(shape: list[int | str | None]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _safe(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
