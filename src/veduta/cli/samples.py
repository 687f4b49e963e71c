"""``veduta samples``: pictures to try Veduta on, from packages that ship some."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from veduta.cli.job import messages
from veduta.errors import MissingExtra, OutputError


@dataclass(frozen=True, slots=True)
class SamplePicture:
    """A picture that a package ships: where, what it shows, and whose it is; ``scene`` false where it shows none."""

    package: str
    place: str
    shows: str
    credit: str
    scene: bool = True

    @property
    def target(self) -> Path:
        """Its name in the folder of samples; what shows no scene says so wherever the name is shown."""
        name = Path(self.place).name
        return Path(name if self.scene else f"no-scene-{name}")


_SKIMAGE, _SKLEARN = "scikit-image", "scikit-learn"

SAMPLES = (
    SamplePicture(_SKLEARN, "datasets/images/china.jpg", "a temple", "danielbuechele, CC BY 2.0"),
    SamplePicture(_SKIMAGE, "data/rocket.jpg", "a launch pad", "SpaceX, public domain"),
    SamplePicture(_SKIMAGE, "data/coffee.png", "a cup on a café table", "Rachel Michetti, CC0"),
    SamplePicture(_SKIMAGE, "data/camera.png", "a photographer on a lawn", "Lav Varshney, CC0"),
    SamplePicture(_SKIMAGE, "data/grass.png", "a lawn from close by", "Linolafett, CC0"),
    SamplePicture(_SKIMAGE, "data/chelsea.png", "no scene: a cat's face", "Stefan van der Walt, CC0", False),
    SamplePicture(_SKLEARN, "datasets/images/flower.jpg", "no scene: a flower", "vultilion, CC BY 2.0", False),
)

_MODULES = {_SKIMAGE: "skimage", _SKLEARN: "sklearn"}


def samples(
    folder: Annotated[Path, typer.Argument(help="Copy the pictures into this folder.")] = Path("samples"),
) -> None:
    """Copy the sample pictures of scikit-image and scikit-learn (extra samples), and say whose they are."""
    from rich.table import Table

    table = Table("picture", "shows", "from", "credit", box=None, pad_edge=False, header_style="bold")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sample in SAMPLES:
            shutil.copyfile(_find(sample), folder / sample.target)
            table.add_row(str(sample.target), sample.shows, sample.package, sample.credit)
    except OSError as error:
        raise OutputError(
            f"the samples can't be copied to {folder} ({error.strerror}); name another folder."
        ) from error
    messages.print(table)


def _find(sample: SamplePicture) -> Path:
    spec = find_spec(_MODULES[sample.package])
    if spec is None or spec.origin is None:
        raise MissingExtra(f'the sample pictures come with {sample.package}; pip install "veduta[samples]"')
    return Path(spec.origin).parent / sample.place
