"""Do the fast ways give the same answers: graph and torch, bfloat16 and float32, shrunk on load and decoded whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from bench.default_model import default_model
from bench.full_decode import inputs_of, shrunk_and_whole
from bench.networks import bundle_of, torch_network
from bench.photos import SCENES, made, sources
from bench.report import Report, Table, Verdict, percent
from bench.settings import Settings
from veduta.errors import UsageError
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.recognition.scoring import probabilities
from veduta.training.networks import Normalise, SceneNetwork, build

LEAST_MARGIN = 0.05
_BATCH = 50

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Model:
    """A bundle, and the torch network that it came from."""

    bundle: Bundle
    network: nn.Module
    judged: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two ways give the same first label: of all photos, and of those whose margin is wide.

    ``margin`` is that of the reference, between the probabilities of its first and second label.
    """

    photos: int
    wide: int
    same: float
    same_where_wide: float
    largest_difference: float

    @classmethod
    def of(cls, reference: Logits, other: Logits, bundle: Bundle) -> Agreement:
        """Compare logits ``[n, classes]``."""
        head = bundle.heads[0]
        ordered = np.sort(probabilities(reference, head.task, head.temperature), axis=1)
        wide = ordered[:, -1] - ordered[:, -2] >= LEAST_MARGIN
        same = reference.argmax(axis=1) == other.argmax(axis=1)
        where_wide = float(same[wide].mean()) if wide.any() else 1.0
        difference = float(np.abs(reference - other).max())
        return cls(len(same), int(wide.sum()), float(same.mean()), where_wide, difference)


def run(settings: Settings) -> Report:
    """Compare on real photos, and on made ones of 12 megapixels."""
    report = Report("agreement")
    models = _models(settings)
    photos = sources("sun27")[: settings.scale.parity]
    rows = []
    for model in models:
        session = Session(model.bundle.graph)
        images = inputs_of(photos, model.bundle.preprocessing)
        single = _logits(session, model.bundle, images)
        name = model.bundle.name
        graph = Agreement.of(_torch_logits(model.network, images), single, model.bundle)
        rows.append(_row(f"{name}: graph against torch", "SUN photos", graph))
        half = _bfloat16_logits(model.bundle, images)
        found = {"graph against torch": graph}
        if half is not None:
            found["bfloat16 against float32"] = Agreement.of(single, half, model.bundle)
            rows.append(_row(f"{name}: bfloat16 against float32", "SUN photos", found["bfloat16 against float32"]))
        report.figures[name] = {what: _values(each) for what, each in found.items()}
        report.verdicts += _verdicts(name, found, model.judged)
    for model, shrunk in zip(models, _shrink_on_load(settings, models), strict=True):
        name = model.bundle.name
        rows.append(_row(f"{name}: shrink on load against full decode", "made, 12 megapixels", shrunk))
        report.figures[name]["shrink on load"] = _values(shrunk)
        report.verdicts += _verdicts(name, {"shrink on load": shrunk}, model.judged)
    columns = (
        "what",
        "photos",
        "same first label",
        f"where the margin is ≥ {LEAST_MARGIN}",
        "largest logit difference",
    )
    note = "The margin is that of the second of the two, between the probabilities of its first and second label."
    report.tables.append(Table("Agreement", columns, rows, note))
    return report


def _models(settings: Settings) -> list[_Model]:
    """The bundled model, which the figures are asked of, and ImageNet's MobileNetV2 beside it."""
    imagenet = Bundle.load(bundle_of("mobilenet_v2", settings.out / "models"))
    others = [_Model(imagenet, torch_network("mobilenet_v2"), judged=False)]
    bundle = Bundle.load(default_model(settings))
    if bundle.bundle_id == imagenet.bundle_id:
        return [_Model(imagenet, others[0].network, judged=True)]
    return [_Model(bundle, _trained_network(bundle), judged=True), *others]


def _trained_network(bundle: Bundle) -> nn.Module:
    """The torch network of a bundle of ours, from the weights beside its graph."""
    if bundle.weights is None or bundle.architecture is None:
        raise UsageError(f"{bundle.path}: has no weights to build the torch network from; export the model anew.")
    network = build(bundle.architecture, len(bundle.heads[0].labels))
    weights = load_file(bundle.weights)
    # Whole numbers count batches and stay as they are; load_state_dict turns the rest back into float32.
    network.load_state_dict(weights)
    return network.eval()


def _torch_logits(network: nn.Module, images: NDArray[np.uint8]) -> Logits:
    normalise = Normalise(network.enlarge if isinstance(network, SceneNetwork) else 1.0)
    with torch.inference_mode():
        batches = [network(normalise(batch)) for batch in torch.split(torch.from_numpy(images), _BATCH)]
    logits: Logits = torch.cat(batches).numpy()
    return logits


def _logits(session: Session, bundle: Bundle, images: NDArray[np.uint8]) -> Logits:
    output = bundle.heads[0].logits
    return session.run(images, [output])[output]


def _bfloat16_logits(bundle: Bundle, images: NDArray[np.uint8]) -> Logits | None:
    try:
        return _logits(Session(bundle.graph, precision="bfloat16"), bundle, images)
    except UsageError as error:
        print(error, flush=True)
        return None


def _shrink_on_load(settings: Settings, models: list[_Model]) -> list[Agreement]:
    photos = made(SCENES, settings.scale.scenes, settings.photos)
    sessions = [Session(model.bundle.graph) for model in models]
    found: list[tuple[list[Logits], list[Logits]]] = [([], []) for _ in models]
    for pair in shrunk_and_whole(photos, [model.bundle.preprocessing for model in models]):
        for way, inputs in enumerate(pair):
            for index, (model, session) in enumerate(zip(models, sessions, strict=True)):
                found[index][way].append(_logits(session, model.bundle, inputs[index][None]))
    return [
        Agreement.of(np.concatenate(whole), np.concatenate(shrunk), model.bundle)
        for model, (shrunk, whole) in zip(models, found, strict=True)
    ]


def _verdicts(name: str, found: dict[str, Agreement], judged: bool) -> list[Verdict]:
    verdicts = []
    for what, each in found.items():
        same, wide, difference = percent(each.same), percent(each.same_where_wide, 2), f"{each.largest_difference:.1e}"
        least = f"margin ≥ {LEAST_MARGIN}"
        wide_enough = (f", {least}", "≥ 99.5 %", wide, each.same_where_wide >= 0.995 if each.wide else None)
        lines: list[tuple[str, str, str, bool | None]]
        match what:
            case "graph against torch":
                exact = each.same == 1.0 and each.largest_difference <= 1e-3
                lines = [("", "100 %, logits within 1e-3", f"{same}, {difference}", exact)]
            case "bfloat16 against float32":
                lines = [("", "told", same, None), wide_enough]
            case _:
                lines = [("", "≥ 97 %", same, each.same >= 0.97), wide_enough]
        verdicts += [
            Verdict(f"{name}, {what}{extra}", wanted if judged else "told", measured, reached if judged else None)
            for extra, wanted, measured, reached in lines
        ]
    return verdicts


def _row(what: str, photos: str, found: Agreement) -> tuple[str, ...]:
    wide = f"{percent(found.same_where_wide, 2)} of {found.wide}"
    return (what, f"{found.photos} {photos}", percent(found.same), wide, f"{found.largest_difference:.1e}")


def _values(found: Agreement) -> dict[str, Any]:
    return {
        "photos": found.photos,
        "photos_with_wide_margin": found.wide,
        "same_first_label": found.same,
        "same_where_margin_is_wide": found.same_where_wide,
        "largest_logit_difference": found.largest_difference,
    }
