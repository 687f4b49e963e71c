"""Photos a second: this pipeline against what a user would otherwise write, and against its own ceiling."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino  # type: ignore[import-untyped]
from PIL import Image

from bench.networks import NETWORKS, TITLES, NetworkName, bundle_of
from bench.ours import decoded_size
from bench.photos import LARGE, SMALL, PhotoSet, made
from bench.report import Report, Table, Verdict, percent
from bench.settings import Scale, Settings, middle
from bench.side import Kind, Part, Pass, SideProcess, Spec

#: How many times the plain torch pipeline's photos a second we must reach, by network, photos and precision.
WANTED_RATIOS = {
    ("mobilenet_v2", LARGE.name): {"float32": 3.5, "bfloat16": 4.0},
    ("mobilenet_v2", SMALL.name): {"float32": 4.0, "bfloat16": 5.0},
    ("resnet50", LARGE.name): {"float32": 2.2, "bfloat16": 3.4},
    ("resnet50", SMALL.name): {"float32": 2.4, "bfloat16": 4.4},
}
WANTED_SHARE = 0.85

_RIVALS: tuple[Kind, ...] = ("torch", "torch channels-last", "transformers")
_PLAIN: Kind = "torch"
_OURS: tuple[Part, ...] = ("pipeline", "decode", "inference")


@dataclass(slots=True)
class _Measured:
    """One side of one comparison: its passes of every round, by part."""

    side: SideProcess
    passes: dict[Part, list[Pass]]
    decoded: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.side.spec.kind} {self.side.spec.precision}"

    def rates(self, part: Part = "pipeline") -> list[float]:
        """Photos a second of each round."""
        return [self.side.spec.count / each.seconds for each in self.passes[part]]

    def cpu_milliseconds(self, part: Part = "pipeline") -> float:
        """CPU time of all cores for a photo."""
        return 1e3 * middle([each.cpu_seconds / self.side.spec.count for each in self.passes[part]])

    def shares(self) -> list[float]:
        """Of each round, the pipeline's share of what its two parts would reach if nothing else took time."""
        parts = zip(self.rates(), self.rates("decode"), self.rates("inference"), strict=True)
        return [whole * (1 / decode + 1 / inference) for whole, decode, inference in parts]


def run(settings: Settings) -> Report:
    """Compare each network on both sizes of photos."""
    report = Report("throughput")
    models = settings.out / "models"
    summary: list[tuple[str, ...]] = []
    for network in NETWORKS[: settings.scale.networks]:
        bundle = bundle_of(network, models)
        for photo_set in (LARGE, SMALL):
            count = _count(settings.scale, network, photo_set)
            photos = made(photo_set, count, settings.photos)
            title = f"{TITLES[network]}, {photo_set.name}"
            with ExitStack() as stack:
                sides = _start(stack, network, bundle, photos, settings.batch)
                _measure(sides, settings.scale.rounds, title)
                summary += _add(report, network, photo_set, sides, title)
    columns = ("network, photos, precision", "photos/s", "plain torch", "ratio", "wanted", "share of the ceiling")
    report.tables.append(Table("Throughput", columns, summary))
    return report


def _count(scale: Scale, network: NetworkName, photo_set: PhotoSet) -> int:
    """A pass takes a few seconds; ResNet-50 needs a third as many photos for that."""
    if photo_set is LARGE:
        return scale.large
    return scale.small if network == "mobilenet_v2" else max(2, scale.small // 3)


def _start(stack: ExitStack, network: NetworkName, bundle: Path, photos: list[Path], batch: int) -> list[_Measured]:
    ours = ["float32", *(["bfloat16"] if _has_bfloat16() else [])]
    kinds: list[tuple[Kind, str]] = [("veduta", precision) for precision in ours]
    kinds += [(kind, "float32") for kind in _RIVALS]
    with Image.open(photos[0]) as photo:
        whole = photo.size
    shrunk = decoded_size(photos[0], bundle)
    sides = []
    for kind, precision in kinds:
        spec = Spec(kind, network, str(bundle), str(photos[0].parent), len(photos), precision, batch)
        side = stack.enter_context(SideProcess(spec))
        parts = _OURS if kind == "veduta" else _OURS[:1]
        sides.append(_Measured(side, {part: [] for part in parts}, shrunk if kind == "veduta" else whole))
    return sides


def _measure(sides: list[_Measured], rounds: int, title: str) -> None:
    """All sides in turn, the order turned around every other round; before, a round that is not counted."""
    for number in range(rounds + 1):
        for each in sides if number % 2 else reversed(sides):
            for part in each.passes:
                found = each.side.measure(part)
                if number:
                    each.passes[part].append(found)
        if number:
            words = ", ".join(f"{each.name} {each.rates()[-1]:.1f}" for each in sides)
            print(f"{title}, round {number} of {rounds}, photos/s: {words}", flush=True)


def _add(
    report: Report, network: NetworkName, photo_set: PhotoSet, sides: list[_Measured], title: str
) -> list[tuple[str, ...]]:
    """Put one comparison into the report; returns its lines of the summary."""
    plain = next(each for each in sides if each.side.spec.kind == _PLAIN)
    first = sides[0].passes["pipeline"][0].found
    rows: list[tuple[str, ...]] = []
    lines: list[tuple[str, ...]] = []
    figures: list[dict[str, Any]] = []
    for each in sides:
        ratios = [mine / theirs for mine, theirs in zip(each.rates(), plain.rates(), strict=True)]
        ratio, share = middle(ratios), middle(each.shares()) if "decode" in each.passes else None
        same = sum(a == b for a, b in zip(first, each.passes["pipeline"][0].found, strict=True)) / len(first)
        rows.append(_row(each, ratio, share, same))
        figures.append(_figures(each, ratios, share, same))
        if share is None:
            continue
        precision = each.side.spec.precision
        wanted = WANTED_RATIOS[network, photo_set.name][precision]
        name = f"{title}, {precision}"
        report.verdicts += [
            Verdict(f"{name}: ratio to plain torch", f"≥ {wanted}", f"{ratio:.2f}", ratio >= wanted),
            Verdict(f"{name}: share of the ceiling", "≥ 85 %", percent(share), share >= WANTED_SHARE),
        ]
        speed, other = middle(each.rates()), middle(plain.rates())
        lines.append((name, f"{speed:.1f}", f"{other:.1f}", f"{ratio:.2f}", f"{wanted}", percent(share)))
    report.figures[title] = figures
    columns = (
        "side", "threads", "decoded to", "photos/s", "CPU ms a photo", "ratio to plain torch",
        "decode alone", "inference alone", "share of ceiling", "same first label as ours",
    )  # fmt: skip
    note = f"{sides[0].side.spec.count} photos, medians of {len(plain.rates())} rounds in turn."
    report.tables.append(Table(title, columns, rows, note))
    return lines


def _row(each: _Measured, ratio: float, share: float | None, same: float) -> tuple[str, ...]:
    parts = ("", "", "")
    if share is not None:
        decode, inference = middle(each.rates("decode")), middle(each.rates("inference"))
        parts = (f"{decode:.1f}", f"{inference:.1f}", percent(share))
    speed, cpu = f"{middle(each.rates()):.1f}", f"{each.cpu_milliseconds():.1f}"
    width, height = each.decoded
    return (
        each.name,
        each.side.facts["threads"],
        f"{width}×{height}",
        speed,
        cpu,
        f"{ratio:.2f}",
        *parts,
        percent(same),
    )


def _figures(each: _Measured, ratios: list[float], share: float | None, same: float) -> dict[str, Any]:
    return {
        "side": each.side.spec.kind,
        **each.side.facts,
        "decoded_to": each.decoded,
        "photos": each.side.spec.count,
        "ratios_to_plain_torch": ratios,
        "share_of_ceiling": share,
        "same_first_label_as_float32": same,
        "parts": {
            part: {"photos_per_second": each.rates(part), "cpu_milliseconds_per_photo": each.cpu_milliseconds(part)}
            for part in each.passes
        },
    }


def _has_bfloat16() -> bool:
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
