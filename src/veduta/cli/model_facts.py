"""What a model is, as tables for people and as values for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, GeneratorSpec, Head, Metric


def plain_console() -> Console:
    """A console that takes names and paths as they are."""
    # Names and paths are not markup, and not emoji codes.
    return Console(markup=False, emoji=False, highlight=False)


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """What a model is, as values for JSON."""
    return {
        "name": bundle.name,
        "path": str(bundle.path),
        "kind": bundle.kind,
        "input": input_text(bundle.preprocessing),
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
        "attributes": [] if bundle.attributes is None else [label.id for label in bundle.attributes.labels],
        "generator": _generator_facts(bundle.generator),
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


def _generator_facts(generator: GeneratorSpec | None) -> dict[str, Any] | None:
    if generator is None:
        return None
    return {
        "latent": generator.latent,
        "side": generator.side,
        "grayscale": generator.grayscale,
        "labels": [label.id for label in generator.labels],
    }


def facts_table(bundle: Bundle, outputs: dict[str, list[int | str | None]]) -> Table:
    """What a model is, a fact a row; ``outputs`` are the shapes that its graph tells."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("name", bundle.name)
    table.add_row("folder", str(bundle.path))
    table.add_row("kind", bundle.kind)
    made = bundle.generator
    if made is None:
        table.add_row("input", input_text(bundle.preprocessing))
    else:
        colours = "grey" if made.grayscale else "colour"
        table.add_row("makes", f"{colours} pictures of {made.side}×{made.side}, from {made.latent} numbers each")
        table.add_row("classes", ", ".join(label.id for label in made.labels))
        table.add_row("learnt from", f"photos as {input_text(bundle.preprocessing)}")
    for head in bundle.heads:
        table.add_row(f"head {head.name}", _head_text(head))
    if bundle.embedding is not None:
        table.add_row("embedding", f"{bundle.embedding.size} numbers")
    if bundle.evidence is not None:
        table.add_row("evidence", f"nothing fits below {bundle.evidence.threshold:g}: {bundle.evidence.reason}")
    if bundle.attributes is not None:
        by_photo = bundle.attributes.sources.count("photo")
        table.add_row("attributes", f"{len(bundle.attributes.labels)}, {by_photo} of them by the photo's own features")
    if outputs:
        table.add_row("outputs", ", ".join(f"{name} {_shape_text(shape)}" for name, shape in outputs.items()))
    table.add_row("architecture", bundle.architecture or "not told")
    table.add_row("trainable", "yes, with weights.safetensors" if bundle.has_weights else "no")
    table.add_row("licence", bundle.license or "not told")
    table.add_row("embedding id", bundle.embedding_id)
    table.add_row("bundle id", bundle.bundle_id)
    return table


def metrics_table(metrics: tuple[Metric, ...]) -> Table:
    """The figures that were measured, with their intervals."""
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


def input_text(preprocessing: Preprocessing) -> str:
    """How a photo becomes the model's input, in a few words."""
    sizes = ", ".join(f"{height}×{width}" for height, width in preprocessing.sizes)
    if preprocessing.fit == "stretch":
        return f"stretched to {sizes}, {preprocessing.filter}"
    return f"{sizes} from short side {preprocessing.short_side}, {preprocessing.filter}"


def _shape_text(shape: list[int | str | None]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def safe(text: str) -> str:
    """The text on one line, without letters that steer a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)
