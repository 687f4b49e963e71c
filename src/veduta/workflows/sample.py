"""Generated pictures as files: a marked set of them, the way from one to another, evidence for an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from veduta.datasets.manifest import FOLDER_MANIFEST, Entry, Manifest, write_manifest
from veduta.errors import UsageError
from veduta.generation.pictures import animation_bytes, grid, png_bytes, side_by_side
from veduta.generation.sampler import Sampler
from veduta.whole_file import check_place, write_whole
from veduta.workflows.watch import Watch

if TYPE_CHECKING:
    from veduta.generation.evaluate import Evaluation

#: The first pictures in one, in the folder of a sample.
GRID = "grid.png"
_IN_GRID = 64
# Pictures that are made at once.
_AT_ONCE = 256
_MOST_PAIRS = 24


def write_sample(
    out: Path,
    generator: str | Path,
    *,
    count: int,
    seed: int = 0,
    classes: Sequence[str] = (),
    threads: int | None = None,
    watch: Watch = Watch(),  # noqa: B008
) -> Path:
    """Write ``count`` pictures into ``out``, a folder for each class, with a grid and a manifest that marks them.

    Returns the grid's file. Raises UsageError for a class that the generator does not know or a folder that is not
    empty, BundleError, OutputError.
    """
    sampler = Sampler.load(generator, threads)
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; name a new folder, so that no sample is mixed with another.")
    made_by = _maker(sampler)
    watch.begin("generating pictures")
    entries: list[Entry] = []
    shown = []
    for first in range(0, count, _AT_ONCE):
        some = sampler.sample(min(_AT_ONCE, count - first), seed, classes, first)
        for place, (picture, target) in enumerate(zip(some.pictures, some.targets, strict=True), first):
            label = sampler.labels[target]
            folder = label.replace("/", "-")
            path = out / folder / f"{folder}-{seed}-{place:06}.png"
            write_whole(path, png_bytes(picture, made_by), sync=False)
            entries.append(Entry(str(path), (label,), synthetic=sampler.bundle.bundle_id))
        if first < _IN_GRID:
            shown.append(some.pictures[: _IN_GRID - first])
        watch.step(len(entries), count)
    write_manifest(out / FOLDER_MANIFEST, Manifest("single_label", tuple(entries)))
    write_whole(out / GRID, png_bytes(grid(np.concatenate(shown), scale=2), made_by))
    return out / GRID


def write_way(
    out: Path,
    generator: str | Path,
    *,
    seeds: tuple[int, int],
    classes: tuple[str, str] = ("", ""),
    steps: int = 10,
    threads: int | None = None,
) -> None:
    """Write the way from one picture to another to ``out``: a strip as PNG, or an animation, there and back, as WebP.

    An empty class is the generator's first, or the one that is begun with. Raises UsageError, BundleError, OutputError.
    """
    if out.suffix.lower() not in (".png", ".webp"):
        raise UsageError(f"{out}: end the name in .png for a strip, or in .webp for an animation.")
    check_place(out)
    sampler = Sampler.load(generator, threads)
    start = classes[0] or sampler.labels[0]
    pictures = sampler.interpolate(seeds, (start, classes[1] or start), steps)
    if out.suffix.lower() == ".png":
        content = png_bytes(grid(pictures, len(pictures), scale=2), _maker(sampler))
    else:
        content = animation_bytes(np.concatenate([pictures, pictures[-2:0:-1]]))
    write_whole(out, content)


def write_evidence(folder: Path, found: Evaluation) -> list[Path]:
    """Pictures that an evaluation is about: a sample, photos beside it, and the closest pairs of picture and photo.

    Raises OutputError.
    """
    made, photos = found.sample.pictures, found.photos
    real = photos.rgb(np.flatnonzero(photos.held_out))
    training = photos.rgb(photos.training)
    order = np.argsort(found.copies.nearest.distance, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(place), int(found.copies.nearest.place[place])) for place in order]
    spread = np.linspace(0, len(real) - 1, min(_IN_GRID, len(real))).astype(int)
    pictures = {
        "sample.png": grid(made[:_IN_GRID], scale=2),
        "photos.png": grid(real[spread], scale=2),
        "nearest.png": side_by_side(made, training, pairs),
    }
    for name, picture in pictures.items():
        write_whole(folder / name, png_bytes(picture, "a generator, beside photos"))
    return [folder / name for name in pictures]


def _maker(sampler: Sampler) -> str:
    return f"{sampler.bundle.name} ({sampler.bundle.bundle_id[:12]})"
