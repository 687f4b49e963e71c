"""From photos to a generator: check, train with looks on the way, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veduta import __version__
from veduta.datasets.identical import content_names
from veduta.errors import TrainingDiverged, TrainingError, UsageError
from veduta.generation.alarms import Alarm
from veduta.generation.curves import draw_curves
from veduta.generation.discriminator import Discriminator, make_discriminator
from veduta.generation.export import write_generator
from veduta.generation.features import FeatureNetwork
from veduta.generation.generator import make_generator
from veduta.generation.loop import draw_photos, run
from veduta.generation.photos import Photos, read_photos
from veduta.generation.pictures import grid, png_bytes
from veduta.generation.presets import Preset
from veduta.generation.under_way import Tally, UnderWay, load_checkpoint, restore, save
from veduta.generation.watching import SHOWN, Reference, look_at, make_reference
from veduta.images.limits import printable
from veduta.models.bundle import DESCRIPTION, Bundle, check_target
from veduta.records import Failure
from veduta.training.averaging import average_of
from veduta.training.batches import Share
from veduta.training.dataset import bundle_name
from veduta.training.execution import Execution, launch
from veduta.training.fingerprints import hash_arrays, hash_photos
from veduta.training.left_out import tell_left_out
from veduta.training.memory import keep_freed_memory
from veduta.training.photo_sets import PhotoSet
from veduta.training.run_folder import CURVES, Fact, RunFolder, bytes_of

#: In a run's folder: the sample of the last look, and those of all looks.
SAMPLE, SAMPLES = "samples.png", "samples"
# The grid's pictures are shown this much larger.
_SCALE = 2


@dataclass(frozen=True, slots=True)
class Length:
    """When a training ends: after so many steps, or so many minutes of them, whichever comes first; None is no limit.

    ``look_steps`` is how often it is looked at and a checkpoint written.
    """

    steps: int | None = 20_000
    minutes: float | None = None
    look_steps: int = 500

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise UsageError("a training that never ends leaves nothing; give --steps or --minutes.")
        if (self.steps is not None and self.steps < 1) or (self.minutes is not None and not self.minutes > 0):
            raise UsageError(f"{self.steps} steps and {self.minutes} minutes: a training needs 1 step or more.")
        if self.look_steps < 1:
            raise UsageError("a look every 0 steps can't be taken; give 1 or more (--look-steps).")


@dataclass(frozen=True, slots=True)
class Progress:
    """What is called on the way: ``step`` with the step, how many there are (None where minutes decide), and the share
    that is done; ``look`` with the log's row and what rings; ``note`` with a sentence; ``photo`` with those read.
    """

    step: Callable[[int, int | None, float], None] = lambda _step, _steps, _share: None
    look: Callable[[dict[str, Any], Sequence[Alarm]], None] = lambda _row, _alarms: None
    note: Callable[[str], None] = lambda _words: None
    photo: Callable[[int, int], None] = lambda _done, _all: None


def train_generator(
    data: Path,
    out: Path,
    preset: Preset,
    length: Length = Length(),
    *,
    classes: Sequence[str] = (),
    features: FeatureNetwork | None = None,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = Progress(),
) -> Bundle:
    """Train on ``data`` and write ``out/bundle``; the same call again goes on where it was stopped.

    ``data`` is a folder of class folders or a manifest; ``classes`` names those that are learnt, all where it is empty.
    ``features`` measure the pictures on the way, by default those of the bundled model. ``out`` keeps
    ``config.json``, ``log.jsonl``, ``curves.png``, ``samples.png``, ``samples/`` and ``checkpoint.pt``.
    Raises UsageError, TrainingError, TrainingDiverged where a loss is no number any more (the last good state is kept),
    OutputError.
    """
    _check_bundle(out / "bundle")
    features = features or FeatureNetwork.load()
    folder = RunFolder(out)
    folder.make()
    with folder.locked():
        # What can be refused without the photos is refused before they are read.
        saved = load_checkpoint(folder, preset, features.name)
        photos = _read(data, preset, classes, out, progress)
        # Now, for a photo may be moved or written anew before the training ends.
        learnt = _names(photos)
        progress.note(
            f"{len(photos.training):,} photos of {len(photos.labels)} classes to learn from, "
            f"{int(photos.held_out.sum()):,} held out"
        )
        going = _start(folder, photos, preset, features.name, saved, execution, progress.note)
        told = {"veduta": __version__, "data": str(data.resolve()), "classes": list(photos.labels)}
        counts = {"photos": len(photos.training), "held_out": int(photos.held_out.sum())}
        how = {"precision": going.precision, "features": features.name, "length": asdict(length)}
        folder.write_config({"preset": asdict(preset), **told, **counts, **how})
        _go(folder, going, features, length, progress)
        progress.note("exporting, and checking the graph against torch")
        name = bundle_name(f"{data.stem if data.is_file() else data.resolve().name}-{preset.network}-{preset.side}")
        return write_generator(
            out / "bundle", going.kept, preset, photos.labels, name=name, card=_card(going), learnt=learnt
        )


def _check_bundle(out: Path) -> None:
    """Raises UsageError where another thing than a generator would be replaced."""
    check_target(out, replace=True)
    if (out / DESCRIPTION).is_file():
        there = Bundle.load(out, verify=False)
        if there.kind != "generator":
            raise UsageError(f"{out} holds a model of kind {there.kind}; name another folder for the generator.")


def _read(data: Path, preset: Preset, classes: Sequence[str], out: Path, progress: Progress) -> Photos:
    failures: list[Failure] = []
    photos = read_photos(
        data,
        preset.side,
        grayscale=preset.grayscale,
        classes=classes,
        per_class=preset.per_class,
        seed=preset.seed,
        on_photo=progress.photo,
        on_failures=failures.extend,
    )
    tell_left_out(failures, len(photos) + len(failures), out, progress.note)
    return photos


def _names(photos: Photos) -> tuple[str, ...]:
    """What the photos that are learnt from are known by. Raises TrainingError where one is gone already."""
    paths = [photos.paths[place] for place in photos.training]
    names = content_names(paths)
    if "" in names:
        raise TrainingError(f"{printable(paths[names.index('')])} was there a moment ago and is not; start again.")
    return names


def _go(folder: RunFolder, going: UnderWay, features: FeatureNetwork, length: Length, progress: Progress) -> None:
    """To the end of the training, if it is not there yet."""
    watch = _Looks(folder, going, features, length, progress)
    # A run that was killed while it wrote them has a checkpoint that knows more.
    watch.write_course()
    if watch.share >= 1:
        progress.note(f"it has done its {going.step:,} steps already; more --steps or --minutes would go on")
        return
    try:
        watch.run()
    except TrainingDiverged as error:
        kept = f"the state of step {watch.saved:,} is kept in {folder.path}" if watch.saved else "nothing is kept yet"
        raise TrainingDiverged(
            f"{error}; {kept}. Start again in another folder with a lower rate (--rate), or --preset fastgan."
        ) from error


class _Judging(nn.Module):
    """The discriminator as a network of pictures alone, to try arithmetics on."""

    def __init__(self, discriminator: Discriminator, classes: int) -> None:
        super().__init__()
        self.discriminator, self.classes = discriminator, classes

    def forward(self, pictures: Tensor) -> Tensor:
        rows = torch.eye(self.classes, device=pictures.device)[torch.arange(len(pictures)) % self.classes]
        logits: Tensor = self.discriminator(pictures, rows).logits
        return logits


def _start(
    folder: RunFolder,
    photos: Photos,
    preset: Preset,
    features: str,
    saved: dict[str, Any] | None,
    execution: Execution,
    note: Callable[[str], None],
) -> UnderWay:
    """Put the parts together, and go to where the run was."""
    begun_with: dict[str, Fact] = {
        "features": features,
        "photos": hash_photos(PhotoSet(photos.pixels, photos.held_out.astype(np.int64))),
        "labels": hash_arrays(photos.targets, photos.held_out, np.array(photos.labels)),
    }
    if saved is not None:
        folder.check_same_run(saved, asdict(preset), begun_with)
    keep_freed_memory()
    classes = len(photos.labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(preset.seed)
        generator = make_generator(preset, classes).to(memory_format=torch.channels_last).train()
        discriminator = make_discriminator(preset, classes).to(memory_format=torch.channels_last).train()
    weights = bytes_of(generator.state_dict()), bytes_of(discriminator.state_dict())
    # Both with their moments, and the average of one.
    folder.check_room(3 * sum(weights) + weights[0], 0)
    pixels, _ = draw_photos(photos, preset, torch.Generator().manual_seed(0))
    precision = None if saved is None else saved["precision"]
    trial = _Judging(discriminator, classes)
    fabric, precision = launch(execution, Share(), trial, pixels, precision, folder.path, note)
    averaged = average_of(generator, preset.average_decay)
    betas = (preset.beta1, preset.beta2)
    rates = ((generator, preset.generator_rate), (discriminator, preset.discriminator_rate))
    (making, of_generator), (judging, of_discriminator) = (
        fabric.setup(network, torch.optim.Adam(network.parameters(), rate, betas)) for network, rate in rates
    )
    going = UnderWay(
        preset=preset,
        photos=photos,
        fabric=fabric,
        precision=precision,
        begun_with=begun_with,
        generator=generator,
        discriminator=discriminator,
        making=making,
        judging=judging,
        generator_optimizer=of_generator,
        discriminator_optimizer=of_discriminator,
        averaged=averaged.to(fabric.device),
        probability=0.0 if preset.change_above is not None else 1.0,
    )
    if saved is not None:
        restore(going, saved, folder)
    return going


class _Looks:
    """When to look, when to stop, and what to write."""

    def __init__(
        self, folder: RunFolder, going: UnderWay, features: FeatureNetwork, length: Length, progress: Progress
    ) -> None:
        self.folder, self.going, self.features = folder, going, features
        self.length, self.progress = length, progress
        self.saved = going.step

    def run(self) -> None:
        """To the end, with a look there."""
        reference = make_reference(self.going.photos, self.features, self.progress.photo)
        run(
            self.going,
            is_over=lambda: self.share >= 1,
            is_look_due=lambda: self.going.step % self.length.look_steps == 0,
            look=lambda: self.look(reference),
            on_step=lambda: self.progress.step(self.going.step, self.length.steps, self.share),
        )
        if self.going.tally.steps:
            self.look(reference)

    @property
    def share(self) -> float:
        """How much of the training is done, 1 at its end."""
        of_steps = self.going.step / self.length.steps if self.length.steps else 0.0
        return max(of_steps, self.going.seconds / 60 / self.length.minutes if self.length.minutes else 0.0)

    def look(self, reference: Reference) -> None:
        """Figures, sample, alarms, log and curves; the checkpoint first, for all the rest can be made again."""
        going = self.going
        found = look_at(going, reference, self.features)
        going.history.append(found.row)
        going.tally = Tally()
        save(going, self.folder)
        self.saved = going.step
        sample = png_bytes(grid(found.pictures[:SHOWN], scale=_SCALE), f"a {going.preset.network} in training")
        self.folder.write_bytes(SAMPLE, sample)
        samples = RunFolder(self.folder.path / SAMPLES)
        samples.make()
        samples.write_bytes(f"{going.step:07}.png", sample)
        self.write_course()
        self.progress.look(found.row, found.alarms)

    def write_course(self) -> None:
        """Log and curves of all looks so far."""
        if self.going.history:
            self.folder.write_log(self.going.history)
            self.folder.write_bytes(CURVES, draw_curves(self.going.history))


def _card(going: UnderWay) -> str:
    preset, photos, last = going.preset, going.photos, going.history[-1]
    rung = sorted({name for row in going.history for name in row["alarms"]})
    told = ", ".join(name.replace("_", " ") for name in rung) or "none"
    colours = "grey" if preset.grayscale else "colour"
    return f"""# A generator of scenes

It makes {colours} pictures of {preset.side} by {preset.side} pixels of {len(photos.labels)} classes
({", ".join(photos.labels)}), from {preset.latent} numbers each. They are synthetic: no such place need exist.

- **Network.** `{preset.network}`, {sum(each.numel() for each in going.generator.parameters()):,} parameters, trained by
  Veduta {__version__} for {last["step"]:,} steps ({last["epoch"]:.0f} epochs, {last["minutes"]:.0f} minutes).
- **Learnt from** {len(photos.training):,} photos.
- **At its end** its pictures were {last["diversity"]:.0%} as diverse as the photos. Alarms that rang: {told}.
- **Licence.** That of the photos, where it reaches so far.
- **Limits.** It may repeat what is in its photos: `veduta generate evaluate` looks for copies.
"""
