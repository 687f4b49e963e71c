"""From somebody's weights to a model in the store: the network as they trained it, its own classifier included."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.images.decode import decode, read_bytes
from veduta.images.preprocess import Preprocessing
from veduta.labels.categories import places100, places365, read_labels_csv
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle, Head, OutputSpec, write_bundle
from veduta.models.description import NAME
from veduta.models.importing import made_images
from veduta.models.store import available, home
from veduta.records import Label
from veduta.training.checkpoints import fit_weights, read_checkpoint
from veduta.training.downloads import sha256_of
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.layouts import has_published_head
from veduta.training.networks import BundleGraph, SceneNetwork, build, find_architecture
from veduta.whole_file import write_whole

#: Lists of labels by name; anything else is a CSV file.
LABEL_LISTS = ("imagenet", "places365", "places100")


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the checks before writing found: on how many images, and how far answers moved."""

    images: int
    parity: float
    rounding: float
    moved: int


def convert(
    checkpoint: Path,
    *,
    architecture: str,
    labels: Sequence[Label],
    name: str,
    preprocessing: Preprocessing | None = None,
    source: str | None = None,
    license: str | None = None,
    photos: Sequence[Path] = (),
    overwrite: bool = False,
    on_stage: Callable[[str], None] = lambda _words: None,
) -> Bundle:
    """Make a model of a weights file, in the store.

    ``labels`` are the classes in the order of the file's classifier. ``preprocessing`` is what the network was trained
    with, the usual one of its architecture where left out. The graph is checked against torch on made images and on
    ``photos``. Nothing is calibrated: there is nothing to calibrate on. ``source`` and ``license`` go into the card.

    Raises UsageError for a name that can't be or is taken, WeightsError where the weights can't be read or do not fit,
    TrainingError where graph and torch disagree, PhotoError, OutputError where the store can't be written.
    """
    wanted = preprocessing or find_architecture(architecture).preprocessing
    check_name(name, overwrite)
    on_stage("reading the weights")
    network = _network(checkpoint, architecture, labels)
    graph, found = _exported(network, wanted.sizes[0][0], _images(wanted, photos), on_stage)
    maps = "class_maps" if network.has_class_maps else None
    head = Head("labels", "single_label", Taxonomy.load(None).apply(labels), "logits", maps, maps is not None)
    on_stage("writing the model")
    return write_bundle(
        home() / name,
        name=name,
        kind="classifier",
        graph=graph,
        preprocessing=wanted,
        heads=[head],
        card=_card(name, architecture, checkpoint, head, wanted, found, source, license),
        embedding=OutputSpec("embedding", network.classifier.in_features),
        architecture=architecture,
        weights=export_weights(network),
        license=license,
        replace=overwrite,
    )


def labels_named(text: str) -> tuple[Label, ...]:
    """The labels of a list by name (``imagenet``, ``places365``, ``places100``), or of a CSV file.

    Raises UsageError where it is neither.
    """
    match text:
        case "imagenet":
            return imagenet_labels()
        case "places365":
            return places365()
        case "places100":
            return places100()
        case _:
            if not Path(text).is_file():
                raise UsageError(
                    f"{text!r} is no list of labels; give {', '.join(LABEL_LISTS)}, or a CSV file with a row for each."
                )
            return read_labels_csv(Path(text))


def imagenet_labels() -> tuple[Label, ...]:
    """The 1,000 classes of ImageNet in the usual order, with torchvision's names; none has an environment."""
    from torchvision.models import MobileNet_V2_Weights

    labels: dict[str, Label] = {}
    for name in MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]:
        id = plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        count = 1
        while id in labels:  # ImageNet has had two cranes and two maillots
            count += 1
            id = f"{plain}_{count}"
        labels[id] = Label(id, name)
    return tuple(labels.values())


def check_name(name: str, overwrite: bool) -> None:
    """Refuse, before any long work, a name that can't be a model's or that is taken. Raises UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(f"name: {name!r} can't be a model's name; use letters, digits, '.', '_' and '-', 64 at most.")
    taken = next((model for model in available() if model.name == name), None)
    if taken is not None and not overwrite:
        where = "comes with Veduta" if taken.place == "bundled" else "is in the store"
        raise UsageError(f"name: a model {name!r} {where} already; choose another name, or ask to replace it.")


def _network(checkpoint: Path, architecture: str, labels: Sequence[Label]) -> SceneNetwork:
    tensors = read_checkpoint(checkpoint)
    published_head = has_published_head(tensors, find_architecture(architecture))
    network = build(architecture, len(labels), published_head=published_head)
    fit_weights(network, tensors, checkpoint, classifier="keep")
    return network.eval()


def _exported(
    network: SceneNetwork, side: int, images: NDArray[np.uint8], on_stage: Callable[[str], None]
) -> tuple[bytes, _Checked]:
    """Round the network to float16; its graph, and how both answer on ``images`` uint8 ``[n, h, w, 3]``."""
    before = _logits(network, images)
    round_to_half(network)
    after = _logits(network, images)
    on_stage("exporting the graph")
    graph = export_graph(network, side)
    on_stage("checking the graph against torch")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        parity = check_parity(network, path, images)
    moved = int((before.argmax(1) != after.argmax(1)).sum())
    return graph, _Checked(len(images), parity, float(np.abs(before - after).max()), moved)


def _images(wanted: Preprocessing, photos: Sequence[Path]) -> NDArray[np.uint8]:
    """Made images and the photos, as the network will see them: uint8 ``[n, h, w, 3]``."""
    read = [decode(read_bytes(path), [wanted], name=str(path)).pixels(0)[None] for path in photos]
    return np.concatenate([made_images(wanted.sizes[0]), *read])


def _logits(network: SceneNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    graph = BundleGraph(network).eval()
    with torch.inference_mode():
        rows = [graph(batch)[0] for batch in torch.split(torch.from_numpy(images), 8)]
    logits: NDArray[np.float32] = torch.cat(rows).numpy()
    return logits


def _card(
    name: str,
    architecture: str,
    checkpoint: Path,
    head: Head,
    wanted: Preprocessing,
    found: _Checked,
    source: str | None,
    license: str | None,
) -> str:
    """What is known of the model, and what is not; who converted it may write more, the card is in no hash."""
    height, width = wanted.sizes[0]
    fit = f"short side to {wanted.short_side}, the middle {height}×{width} cut out"
    if wanted.fit == "stretch":
        fit = f"stretched to {height}×{width}"
    maps = "class maps whose mean is the logits" if head.class_maps else "no class maps"
    lines = [
        f"# {name}",
        "",
        f"{architecture} with {len(head.labels)} labels, converted from `{checkpoint.name}`. Veduta did not train it.",
        "",
        f"- Source: {source or 'not told'}",
        f"- The file's SHA-256: `{sha256_of(checkpoint)}`.",
        f"- Licence: {license or 'not told'}. It is the weights'; the photos that they learnt from have rights of "
        "their own, and none of them is in here.",
        f"- Input: {fit}, {wanted.filter}.",
        f"- Outputs: logits, the embedding before the classifier, {maps}.",
        "",
        "## Checked",
        "",
        f"Graph and weights are kept as float16. On {found.images} images (three made ones, and the photos that were "
        f"given) rounding moved the logits by at most {found.rounding:.2g} and the first label of {found.moved}; the "
        f"graph's logits are within {found.parity:.0e} of torch's.",
        "",
        "## Not known",
        "",
        "- Its accuracy on your photos: nothing was measured here.",
        "- How far its probabilities can be believed: they are not calibrated, and such networks are usually too sure.",
        "- What it does with a photo of nothing that it knows: it has no evidence output, and names one of its labels.",
    ]
    return "\n".join(lines) + "\n"
