"""Are copies of a photo found, and look-alikes left alone? And how long does it take among a hundred thousand?

1,000 photos are seeded with 300 copies, each encoded anew, made smaller, cut by 5 % of each side, or mirrored, and with
300 look-alikes: of other photos of the set those whose embeddings are nearest to 300 of the thousand.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.default_model import default_model
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, Settings
from veduta.datasets.duplicates import MOST_BITS, SIDE, Fingerprints, find_candidates, find_copies, fingerprint
from veduta.evaluation.answers import list_labelled
from veduta.images.decode import decode, read_bytes
from veduta.images.preprocess import Preprocessing
from veduta.recognition.tagger import load

_PHOTOS, _COPIES, _ALIKE, _MADE = 1000, 300, 300, 100_000
_WHOLE = Preprocessing("stretch", ((SIDE, SIDE),), "bilinear")
_SEED = 7


def run(settings: Settings) -> Report:
    """Seed, search, count; then time the search among made hashes in a process of its own."""
    report = Report("duplicates")
    random = np.random.default_rng(_SEED)
    samples = [sample.path for sample in list_labelled(DATA / "places100" / "val")]
    paths = [samples[place] for place in random.permutation(len(samples))]
    chosen, others = paths[:_PHOTOS], paths[_PHOTOS:]
    alike = _nearest(settings, chosen, others)
    prints = [_print_of(Image.fromarray(_pixels(path))) for path in (*chosen, *alike)]
    sources = random.choice(_PHOTOS, _COPIES, replace=False)
    kinds = [list(_CHANGES)[place % len(_CHANGES)] for place in range(_COPIES)]
    prints += [
        _print_of(_CHANGES[kind](Image.open(chosen[source]).convert("RGB"), random))
        for source, kind in zip(sources, kinds, strict=True)
    ]
    names = [*chosen, *alike, *(f"{kind} {chosen[source]}" for kind, source in zip(kinds, sources, strict=True))]
    _judge(report, prints, sources, kinds, names)
    _time(report)
    return report


def _judge(
    report: Report,
    prints: Sequence[Fingerprints],
    sources: NDArray[np.int64],
    kinds: Sequence[str],
    names: Sequence[str],
) -> None:
    pairs = {(int(one), int(other)) for one, other in find_copies(Fingerprints.join(prints))}
    first = len(names) - len(sources)
    seeded = {(int(source), first + place): kinds[place] for place, source in enumerate(sources)}
    right, wrong = pairs & seeded.keys(), sorted(pairs - seeded.keys())
    recall, precision = len(right) / len(seeded), len(right) / max(1, len(pairs))
    rows = [
        (kind, f"{sum(seeded[pair] == kind for pair in right)} of {kinds.count(kind)}") for kind in dict.fromkeys(kinds)
    ]
    told = "; ".join(f"{names[one]} and {names[other]}" for one, other in wrong)
    note = f"Pairs that are no seeded copies: {len(wrong)}" + (f" ({told})." if told else ".")
    report.tables.append(Table("Copies found", ("change", "found"), rows, note))
    report.figures |= {"recall": recall, "precision": precision, "others": [[names[a], names[b]] for a, b in wrong]}
    report.verdicts += [
        Verdict("copies found", "≥ 98 %", percent(recall), recall >= 0.98),
        Verdict("pairs that are copies", "≥ 99 %", percent(precision), precision >= 0.99),
    ]


def _cut(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """5 % less of each side, from anywhere."""
    left, top = (random.uniform(0, 0.05) * side for side in image.size)
    return image.crop((round(left), round(top), round(left + 0.95 * image.width), round(top + 0.95 * image.height)))


_CHANGES = {
    "encoded anew": lambda image, random: _encoded(image, int(random.integers(30, 80))),
    "made smaller": lambda image, random: _encoded(image.resize((image.width * 3 // 5, image.height * 3 // 5)), 85),
    "cut by 5 %": lambda image, random: _encoded(_cut(image, random), 85),
    "mirrored": lambda image, random: _encoded(ImageOps.mirror(image), 85),
}


def _encoded(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def _print_of(image: Image.Image) -> Fingerprints:
    return fingerprint(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)))


def _pixels(path: str) -> NDArray[np.uint8]:
    return decode(read_bytes(path), [_WHOLE], name=path).pixels(0)


def _nearest(settings: Settings, chosen: Sequence[str], others: Sequence[str]) -> list[str]:
    """For the first chosen photos the nearest of the others, each once."""
    tagger = load(default_model(settings), embedding=True)
    wanted, known = _embed(tagger, chosen[:_ALIKE]), _embed(tagger, others)
    taken: list[int] = []
    for row in wanted @ known.T:
        row[taken] = -1
        taken.append(int(row.argmax()))
    return [others[place] for place in taken]


def _embed(tagger: object, paths: Sequence[str]) -> NDArray[np.float32]:
    rows = [np.asarray(tagger.predict(path).embedding) for path in paths]  # type: ignore[attr-defined]
    found = np.stack(rows)
    scaled: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return scaled


def _time(report: Report) -> None:
    program = [sys.executable, "-m", "bench.duplicates"]
    found = json.loads(subprocess.run(program, capture_output=True, check=True, text=True).stdout)
    report.figures["100,000 hashes"] = found
    report.verdicts += [
        Verdict("copies among 100,000 made hashes", "≤ 30 s", f"{found['seconds']:.1f} s", found["seconds"] <= 30),
        Verdict("its memory", "≤ 1 GB", f"{found['megabytes']:.0f} MB", found["megabytes"] <= 1000),
    ]


def _search_made_hashes() -> None:
    """A hundred thousand hashes of which each tenth is another's copy but for ten bits."""
    random = np.random.default_rng(_SEED)
    hashes = random.integers(0, 256, (_MADE, 4, 32), np.uint8)
    copies = np.arange(0, _MADE, 10)
    hashes[copies + 1] = hashes[copies]
    hashes[copies + 1, :, :2] ^= 0b11111
    start = time.perf_counter()
    pairs = find_candidates(hashes, MOST_BITS)
    seconds = time.perf_counter() - start
    assert {tuple(pair) for pair in pairs} >= {(int(place), int(place) + 1) for place in copies}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"seconds": seconds, "megabytes": memory, "pairs": len(pairs)}))


if __name__ == "__main__":
    _search_made_hashes()
