"""Pictures to try Veduta on, from packages that ship some."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from veduta.errors import MissingExtra


@dataclass(frozen=True, slots=True)
class SamplePicture:
    """A picture that a package ships: where, what it shows, and whose it is; ``scene`` false where it shows none."""

    package: str
    place: str
    shows: str
    credit: str
    scene: bool = True

    @property
    def id(self) -> str:
        """Its name without the ending: ``china``."""
        return Path(self.place).stem

    @property
    def target(self) -> Path:
        """Its name in a folder of samples; what shows no scene says so wherever the name is shown."""
        name = Path(self.place).name
        return Path(name if self.scene else f"no-scene-{name}")

    @property
    def path(self) -> Path:
        """Where it is installed. Raises MissingExtra where its package is not."""
        spec = find_spec(_MODULES[self.package])
        if spec is None or spec.origin is None:
            raise MissingExtra(f'the sample pictures come with {self.package}; pip install "veduta[samples]"')
        return Path(spec.origin).parent / self.place


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


def installed() -> list[SamplePicture]:
    """The sample pictures that are here: all, some, or none, as their packages are."""
    found = []
    for sample in SAMPLES:
        try:
            if sample.path.is_file():
                found.append(sample)
        except MissingExtra:
            continue
    return found
