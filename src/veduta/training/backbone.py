"""A model that gives an embedding and has no labels, made of somebody's weights: what ``transfer`` learns behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, OutputSpec, write_bundle
from veduta.models.importing import made_images
from veduta.training.checkpoints import load_weights, read_checkpoint
from veduta.training.classemes import add_classemes
from veduta.training.export import check_parity, export_graph, round_to_half
from veduta.training.networks import build
from veduta.whole_file import write_whole

# No label of the fresh classifier ever answers; the graph is checked by its logits as well.
_CLASSES = 2


def write_backbone(
    architecture: str,
    source: Path | str,
    size: int,
    out: Path,
    *,
    classemes: bool = False,
    on_stage: Callable[[str], None] = lambda _words: None,
) -> Bundle:
    """Write the network of these weights to ``out`` as a model of kind embedding, for photos of ``size`` pixels.

    ``source`` is what ``load_weights`` takes. Photos are seen as ``fit`` has them seen, whole. With ``classemes`` the
    embedding also says what the weights' own classifier says, where they have one. The graph is checked against torch
    on made images.
    Raises what ``load_weights`` and ``write_bundle`` raise, TrainingError where graph and torch disagree.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(architecture, _CLASSES)
    on_stage(f"reading the weights of {architecture}")
    origin = load_weights(network, source)
    assert origin is not None
    known = add_classemes(network, read_checkpoint(origin.path)) if classemes else 0
    round_to_half(network)
    wanted = Preprocessing.squeezed(size)
    on_stage(f"exporting {architecture} for {size} pixels, and checking the graph against torch")
    graph = export_graph(network, size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        check_parity(network, path, made_images((size, size)))
    count = network.classifier.in_features
    card = (
        f"# {architecture} at {size} pixels\n\nAn embedding of {count} numbers, and no labels"
        f"{f'; {known} of them say what its weights call a photo' if known else ''}. "
        f"Its weights are those of `{origin.path.name}`, SHA-256 `{origin.sha256}`; their authors' licence holds.\n"
    )
    return write_bundle(
        out,
        name=f"{architecture}-{size}"[:64],
        kind="embedding",
        graph=graph,
        preprocessing=wanted,
        heads=[],
        card=card,
        embedding=OutputSpec("embedding", count),
        architecture=architecture,
        replace=True,
    )
