"""Generated pictures as files: a marked set of them, the way from one to another, evidence for an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from veduta.datasets.manifest import FOLDER_MANIFEST, Entry, Manifest, read_manifest, write_manifest
from veduta.errors import UsageError
from veduta.generation.pictures import animation_bytes, grid, plain_png, png_bytes, side_by_side
from veduta.generation.sampler import Sampler
from veduta.jobs.filing import folder_name
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
#: Pictures of a sample, and of a way.
MOST, MOST_STEPS = 1_000_000, 1000


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

    Returns the grid's file. Stopped, the same call goes on; pictures that are there stay. Raises UsageError for a class
    that the generator does not know or a folder that holds anything else, BundleError, OutputError.
    """
    sampler = Sampler.load(generator, threads)
    if not 1 <= count <= MOST:
        raise UsageError(f"{count:,} pictures: give a number from 1 to {MOST:,}.")
    watch.begin("generating pictures")
    entries = tuple(
        Entry(
            str(_place(out, sampler.labels[target], seed, place)),
            (sampler.labels[target],),
            synthetic=sampler.bundle.bundle_id,
        )
        for place, target in enumerate(sampler.targets(count, classes))
    )
    begun = out.is_dir() and any(out.iterdir())
    if begun and not _is_of(out / FOLDER_MANIFEST, entries):
        raise UsageError(
            f"{out} is not empty, and holds no sample like this one; name a new folder, so that none is mixed with "
            "another."
        )
    # First what marks them: a sample that is stopped is a set of pictures that are missing, not one of photos.
    write_manifest(out / FOLDER_MANIFEST, Manifest("single_label", entries))
    write_pictures(
        [Path(entry.path) for entry in entries], sampler, classes, seed, lambda done: watch.step(done, count)
    )
    first_ones = sampler.sample(min(count, _IN_GRID), seed, classes).pictures
    write_whole(out / GRID, png_bytes(grid(first_ones, scale=2), sampler.name))
    return out / GRID


def write_pictures(
    paths: Sequence[Path],
    sampler: Sampler,
    classes: Sequence[str],
    seed: int,
    on_step: Callable[[int], None] = lambda _done: None,
) -> None:
    """Write picture i of a sample to the i-th of ``paths``; those that are there stay. Raises OutputError.

    Files are whole or not there, but for empty ones, which a power cut leaves.
    """
    for first in range(0, len(paths), _AT_ONCE):
        some = paths[first : first + _AT_ONCE]
        if not all(path.is_file() and path.stat().st_size for path in some):
            made = sampler.sample(len(some), seed, classes, first).pictures
            for path, picture in zip(some, made, strict=True):
                write_whole(path, png_bytes(picture, sampler.name), sync=False)
        on_step(first + len(some))


def _is_of(manifest: Path, entries: Sequence[Entry]) -> bool:
    """Whether a manifest tells of the same pictures by the same generator."""

    def named(those: Sequence[Entry]) -> list[tuple[object, ...]]:
        return [(Path(entry.path).name, entry.labels, entry.synthetic) for entry in those]

    return manifest.is_file() and named(read_manifest(manifest).entries) == named(entries)


def _place(out: Path, label: str, seed: int, place: int) -> Path:
    name = folder_name(label)
    # A class called so would take the place of a file.
    folder = f"{name} (class)" if name in (GRID, FOLDER_MANIFEST) else name
    return out / folder / f"{name}-{seed}-{place:06}.png"


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
    if not 2 <= steps <= MOST_STEPS:
        raise UsageError(f"{steps:,} steps: give a number from 2 to {MOST_STEPS:,}.")
    check_place(out)
    sampler = Sampler.load(generator, threads)
    start = classes[0] or sampler.labels[0]
    pictures = sampler.interpolate(seeds, (start, classes[1] or start), steps)
    if out.suffix.lower() == ".png":
        content = png_bytes(grid(pictures, len(pictures), scale=2), sampler.name)
    else:
        content = animation_bytes(np.concatenate([pictures, pictures[-2:0:-1]]))
    write_whole(out, content)


def write_evidence(folder: Path, found: Evaluation) -> list[Path]:
    """Pictures that an evaluation is about: a sample, photos beside it, and the closest pairs of picture and photo.

    Raises OutputError.
    """
    made = found.sample.pictures
    real = found.real_photos.rgb(found.real_photos.in_turn(np.arange(found.real), _IN_GRID))
    training = found.training_photos.rgb(np.arange(found.training))
    order = np.argsort(found.copies.nearest.distance, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(place), int(found.copies.nearest.place[place])) for place in order]
    contents = {
        "sample.png": png_bytes(grid(made[:_IN_GRID], scale=2), found.generator),
        "photos.png": plain_png(grid(real, scale=2)),
        "nearest.png": png_bytes(side_by_side(made, training, pairs), f"{found.generator}, beside photos"),
    }
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]
