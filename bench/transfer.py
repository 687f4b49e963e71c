"""The transfer recipe with its four changed views against what is usually written by hand, from folder to model.

By hand: a frozen network in torch, a linear layer behind it, and freshly changed photos through both for 20 epochs.
Both sides learn from the same four fifths of ``sun27`` and are asked about the rest, at the same size, behind the same
weights; the recipe reads several layers of them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import veduta
from bench.networks import SHORT_SIDE, SIDE, torch_network
from bench.new_classes import NETWORK, own_photos
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, MOBILENET_WEIGHTS, Settings
from veduta.datasets.manifest import Manifest, write_manifest
from veduta.datasets.reading import read_pixels
from veduta.datasets.split import read_shares, split_manifest
from veduta.evaluation.metrics import paired_difference
from veduta.models.threads import available_threads

_EPOCHS, _BATCH, _RATE = 20, 64, 1e-3
_FASTER = 4.0
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def run(settings: Settings) -> Report:
    """Seconds of each side, and who is right on the photos that neither saw."""
    report = Report("transfer")
    manifest = split_manifest(own_photos(DATA / "sun27", settings.scale), read_shares("80/20"), seed=0)
    truth = np.array([manifest.labels.index(entry.labels[0]) for entry in manifest.entries if entry.split == "test"])
    sides = {"recipe": _recipe, "by hand": _by_hand}
    seconds: dict[str, float] = {}
    hits: dict[str, NDArray[np.bool_]] = {}
    for name, side in sides.items():
        seconds[name], said = side(manifest)
        hits[name] = said == truth
    report.figures["seconds"] = seconds
    ratio = seconds["by hand"] / seconds["recipe"]
    gain, (low, high) = paired_difference(hits["by hand"], hits["recipe"])
    rows = [(name, f"{seconds[name]:.0f}", percent(float(hits[name].mean()))) for name in sides]
    note = (
        f"On the same {len(truth)} photos the recipe is right about {100 * gain:+.1f} points more "
        f"({100 * low:+.1f} to {100 * high:+.1f})."
    )
    title = f"sun27 from ImageNet's MobileNetV2 at {SIDE} pixels"
    report.tables.append(Table(title, ("side", "seconds", "right"), rows, note))
    report.verdicts += [
        Verdict("transfer with 4 views against 20 epochs by hand", "≥ 4 times", f"{ratio:.1f}", ratio >= _FASTER),
        Verdict("its accuracy against theirs", "no worse", f"{100 * gain:+.1f} points", high >= 0),
    ]
    return report


def _recipe(manifest: Manifest) -> tuple[float, NDArray[np.int64]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set.csv"
        write_manifest(data, manifest)
        began = time.perf_counter()
        bundle = veduta.train(
            data,
            Path(folder) / "run",
            recipe="transfer",
            architecture=NETWORK,
            weights=MOBILENET_WEIGHTS,
            size=SIDE,
            views=4,
        )
        seconds = time.perf_counter() - began
        assert bundle is not None
        tagger = veduta.load(bundle.path)
        order = [manifest.labels.index(label.id) for label in tagger.labels]
        pixels = read_pixels([entry.path for entry in manifest.entries if entry.split == "test"], bundle.preprocessing)
        said = [tagger.predict(Image.fromarray(each)).probabilities for each in pixels]
    return seconds, np.array([order[int(each.argmax())] for each in said if each is not None])


class _Photos(Dataset[tuple[Tensor, int]]):
    def __init__(self, manifest: Manifest, split: str, change: transforms.Compose) -> None:
        self.entries = [entry for entry in manifest.entries if entry.split == split]
        self.labels, self.change = manifest.labels, change

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        entry = self.entries[place]
        image = Image.open(entry.path).convert("RGB")
        return self.change(image), self.labels.index(entry.labels[0])


def _by_hand(manifest: Manifest) -> tuple[float, NDArray[np.int64]]:
    torch.set_num_threads(available_threads())
    torch.manual_seed(0)
    normal = [transforms.ToTensor(), transforms.Normalize(_MEAN, _DEVIATION)]
    changed = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIDE, (0.4, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.2, 0.2, 0.2),
            *normal,
        ]
    )
    plain = transforms.Compose([transforms.Resize(SHORT_SIDE), transforms.CenterCrop(SIDE), *normal])
    began = time.perf_counter()
    network = torch_network("mobilenet_v2")
    network.classifier = nn.Identity()
    head = nn.Linear(1280, len(manifest.labels))
    optimizer = torch.optim.AdamW(head.parameters(), _RATE)
    photos = DataLoader(_Photos(manifest, "train", changed), _BATCH, shuffle=True)
    for epoch in range(_EPOCHS):
        for images, targets in photos:
            with torch.inference_mode():
                embedding = network(images)
            loss = nn.functional.cross_entropy(head(embedding.clone()), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        print(f"by hand: epoch {epoch + 1} of {_EPOCHS}", flush=True)
    seconds = time.perf_counter() - began
    said = []
    with torch.inference_mode():
        for images, _ in DataLoader(_Photos(manifest, "test", plain), _BATCH):
            said.append(head(network(images)).argmax(1).numpy())
    return seconds, np.concatenate(said)
