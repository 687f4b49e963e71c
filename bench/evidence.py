"""Which evidence tells scenes from everything else: each method against each family of made non-scenes.

It is chosen on photos held out from the training and on pictures that were drawn. Pets, everyday photos and the test
photos are not looked at here: they judge what was chosen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from bench.default_model import default_model
from bench.full_decode import inputs_of
from bench.photos import sources
from bench.report import Report, Table, percent
from bench.settings import DATA, MOBILENET_WEIGHTS, Settings
from veduta.datasets.split import hold_out
from veduta.errors import MissingExtra
from veduta.evaluation.evidence import threshold_for
from veduta.images.preprocess import prepare
from veduta.models.bundle import Bundle
from veduta.training.checkpoints import load_weights
from veduta.training.evidence import READINGS, certainty_of, energy_of, fit_normal, join, read_layers
from veduta.training.networks import SceneNetwork, build
from veduta.training.non_scenes import Material, NonScenes, make_non_scenes
from veduta.training.photo_sets import PhotoSet
from veduta.training.places100.photos import INPUT, read_training
from veduta.training.taps import Reading
from veduta.training.validation import predict_logits

_SHRINKAGE, _NEIGHBOURS = 0.03, 10
# What earlier networks were best told by.
_EARLIER = (("13", "16", "17"), ("10", "17"), ("13", "17"))
#: Side in pixels of the larger made pictures; they are shrunk as a user's photos are, and so are sharper.
_SHARP_SIDE = 320
_SEED = 2026
#: Photos that serve as grounds, or are magnified or blurred; none of them is held out.
_GROUNDS = 1500

_SKIMAGE = (
    *("astronaut", "cell", "chelsea", "clock_motion", "coins", "color", "horse", "ihc", "logo", "microaneurysms"),
    *("moon", "motorcycle_left", "page", "phantom", "text"),
)


@dataclass(frozen=True, slots=True)
class Read:
    """What a network says of some photos: layers ``[n, d]`` by name, and logits ``[n, classes]``.

    A layer whose name ends in ``_ENLARGED`` saw them as the classifier does, the others as evidence does.
    """

    layers: dict[str, Tensor]
    logits: Tensor

    def __getitem__(self, rows: NDArray[np.bool_]) -> Read:
        chosen = torch.from_numpy(rows)
        return Read({name: values[chosen] for name, values in self.layers.items()}, self.logits[chosen])


_ENLARGED = ", enlarged"

#: Evidence ``[n]`` of what was read.
Method = Callable[[Read], Tensor]


def run(settings: Settings) -> Report:
    """Measure the bundled model's network, and ImageNet's MobileNetV2 as it is."""
    torch.set_num_threads(2)
    report = Report("evidence")
    training, held_out = read_training(DATA)
    few = hold_out(training.labels.astype(np.int64), settings.scale.evidence, seed=1)
    training = training.subset(few)
    drawn = [_drawn(training, side, settings.scale.evidence) for side in (INPUT.sizes[0][0], _SHARP_SIDE)]
    scenes = _photo_set(inputs_of(sources("sun27")[: settings.scale.parity], INPUT))
    for name, network, full in _networks(settings):
        reading = READINGS[network.architecture or ""]
        layers = tuple(dict.fromkeys((*reading.layers, *(each for some in _EARLIER for each in some), "")))

        def read(photos: PhotoSet) -> Read:
            return _read(network, photos, replace(reading, layers=layers))  # noqa: B023

        known, targets = read(training), training.labels.astype(np.int64)
        others = read(held_out), read(scenes), [read(_photo_set(_shrunk(each.pixels))) for each in drawn]
        rows = []
        for method, evidence in _methods(known, targets, others[0], reading.layers, full):
            figures = _figures(evidence, *others, [each.families for each in drawn])
            report.figures.setdefault(name, {})[method] = figures
            rows.append((method, *(percent(value, 0) for value in figures.values())))
        report.tables.append(Table(f"{name}: rejected where 95 % are kept", ("method", *figures), rows, _NOTE))
    return report


_NOTE = (
    "Rejected are photos below the threshold that keeps 95 % of the photos held out. All: the mean over the families "
    "at 128 pixels; sharp: the same, made larger and shrunk. SUN: scenes of another set that are kept, most of them "
    "sharper than the training photos."
)


def _read(network: SceneNetwork, photos: PhotoSet, reading: Reading) -> Read:
    found = dict(zip(reading.layers, read_layers(network, photos, reading), strict=True))
    if reading.enlarge not in (None, network.enlarge):
        enlarged = read_layers(network, photos, replace(reading, enlarge=None))
        found |= {f"{name}{_ENLARGED}": each for name, each in zip(reading.layers, enlarged, strict=True)}
    return Read(found, torch.from_numpy(predict_logits(network, photos)))


def _methods(
    known: Read, targets: NDArray[np.int64], held_out: Read, blocks: tuple[str, ...], full: bool
) -> Iterator[tuple[str, Method]]:
    """``full`` where the classifier is trained, so that its logits mean something."""
    if full:
        yield "energy", _energy
        yield "certainty", _certainty
    yield "embedding, nearest 10 of the training photos", _nearest(known.layers[""])
    yield "embedding, Mahalanobis", _mahalanobis(known, targets, ("",), scaled=False)
    yield "embedding scaled", _mahalanobis(known, targets, ("",))
    for earlier in _EARLIER:
        yield f"blocks {', '.join(earlier)} scaled", _mahalanobis(known, targets, earlier)
    yield "last block scaled", _mahalanobis(known, targets, blocks[-1:])
    yield "three blocks, Mahalanobis", _mahalanobis(known, targets, blocks, scaled=False)
    yield "three blocks scaled", (three := _mahalanobis(known, targets, blocks))
    if full:
        yield "three blocks scaled, and the energy", _sum(three, held_out, energy=1.0)
        yield "three blocks scaled, and a quarter of the certainty", _sum(three, held_out, certainty=0.25)
        for name, nearness in _apart(known, targets, blocks, three):
            yield name, _sum(nearness, held_out, certainty=0.25, energy=0.5)


def _apart(
    known: Read, targets: NDArray[np.int64], blocks: tuple[str, ...], in_use: Method
) -> Iterator[tuple[str, Method]]:
    enlarged = tuple(f"{block}{_ENLARGED}" for block in blocks)
    if enlarged[0] in known.layers:
        yield "the next, seen enlarged", _mahalanobis(known, targets, enlarged)
    yield "three blocks scaled, a quarter of the certainty, half of the energy (in use)", in_use


def _mahalanobis(known: Read, targets: NDArray[np.int64], layers: tuple[str, ...], *, scaled: bool = True) -> Method:
    def joined(read: Read) -> Tensor:
        pooled = [read.layers[layer] for layer in layers]
        return (join(pooled) if scaled else torch.cat(pooled, 1)).double()

    centre, whiten, means = fit_normal(joined(known), targets, _SHRINKAGE)
    return lambda read: -torch.cdist((joined(read) - centre) @ whiten, means @ whiten).amin(1)


def _nearest(known: Tensor) -> Method:
    stored = nn.functional.normalize(known)
    return lambda read: (nn.functional.normalize(read.layers[""]) @ stored.T).topk(_NEIGHBOURS).values.mean(1)


def _energy(read: Read) -> Tensor:
    return energy_of(read.logits)


def _certainty(read: Read) -> Tensor:
    return certainty_of(read.logits)


def _sum(nearness: Method, held_out: Read, *, certainty: float = 0.0, energy: float = 0.0) -> Method:
    """All by their weights, each in units of its deviation over the held-out photos."""
    parts = ((nearness, 1.0), (_certainty, certainty), (_energy, energy))
    units = [float(part(held_out).std()) for part, _ in parts]

    def total(read: Read) -> Tensor:
        terms = [weight * part(read) / unit for (part, weight), unit in zip(parts, units, strict=True)]
        return torch.stack(terms).sum(0)

    return total


def _figures(
    evidence: Method, held_out: Read, scenes: Read, drawn: Sequence[Read], families: Sequence[tuple[str, ...]]
) -> dict[str, float]:
    threshold = threshold_for(evidence(held_out).numpy())
    shares = [
        {family: float((values[np.array(names) == family] < threshold).mean()) for family in dict.fromkeys(names)}
        for values, names in zip([evidence(each).numpy() for each in drawn], families, strict=True)
    ]
    usual, sharp = shares
    return {
        "all": float(np.mean(list(usual.values()))),
        "all, sharp": float(np.mean(list(sharp.values()))),
        "SUN kept": float((evidence(scenes).numpy() >= threshold).mean()),
        **usual,
    }


def _networks(settings: Settings) -> Iterator[tuple[str, SceneNetwork, bool]]:
    bundle = Bundle.load(default_model(settings))
    network = build(bundle.architecture or "", len(bundle.heads[0].labels))
    load_weights(network, bundle.path, classifier="keep")
    yield f"{bundle.name}, {bundle.architecture}", network, True
    imagenet = build("mobilenet_v2", 1)
    load_weights(imagenet, MOBILENET_WEIGHTS)
    yield "MobileNetV2 as ImageNet trained it", imagenet, False


def _drawn(training: PhotoSet, side: int, count: int) -> NonScenes:
    """At most 250 pictures of each family; a tenth of that where they are large and take long."""
    grounds = training.subset(np.linspace(0, len(training) - 1, _GROUNDS).astype(np.int64))
    material = Material(list(grounds.read(0, _GROUNDS)), list(_people()), list(_sample_pictures()))
    most = 250 if side <= INPUT.sizes[0][0] else 25
    return make_non_scenes(min(most, count), side=side, seed=_SEED, material=material)


def _people() -> Iterator[Image.Image]:
    for path in sorted((DATA / "people").glob("*.webp")):
        with Image.open(path) as image:
            yield image.convert("RGBA")


def _sample_pictures() -> Iterator[NDArray[np.uint8]]:
    """Pictures of scikit-image and scikit-learn that show no place."""
    skimage = *(f"data/{name}.png" for name in _SKIMAGE), "data/hubble_deep_field.jpg", "data/retina.jpg"
    for package, names in (("skimage", skimage), ("sklearn", ("datasets/images/flower.jpg",))):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtra(f"{package} is not installed; install the extra samples.")
        for name in names:
            with Image.open(Path(spec.origin).parent / name) as image:
                yield np.asarray(image.convert("RGB"))


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = pixels.shape[2], pixels.shape[1]
    return np.stack([prepare(Image.fromarray(each), INPUT, size)[0] for each in pixels])


def _photo_set(pixels: NDArray[np.uint8]) -> PhotoSet:
    return PhotoSet(pixels, np.zeros(len(pixels), np.int64))
