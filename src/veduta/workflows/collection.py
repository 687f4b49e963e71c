"""The folder in which a classifier grows from names: what was found, cleaned and learnt, and how far it has come.

collections/<name>/
    photos/<class>/     photos as they were fetched, and the passport of where each comes from and what became of it
    set/<class>/        the usable ones as upright RGB JPEG
    <name>.csv          the manifest: what is learnt from, and why not the others
    dropped.jpg         a look at what was dropped
    training/           what was learnt
    stages.json         which stages are done, and what they depended on
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veduta.datasets.collect import PASSPORT
from veduta.datasets.passport import Passport
from veduta.models.by_classes import plain
from veduta.models.store import home
from veduta.training.dataset import bundle_name
from veduta.whole_file import write_whole

_STAGES = "stages.json"


def collections_home() -> Path:
    """Where collections lie: beside the store of models."""
    return home().parent / "collections"


def all_collections() -> Iterator[Collection]:
    """Those that there are, by name."""
    try:
        folders = sorted(collections_home().iterdir())
    except OSError:  # none yet
        return
    yield from (Collection(folder) for folder in folders if (folder / "photos" / PASSPORT).is_file())


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection by its folder, which need not exist yet."""

    folder: Path

    @classmethod
    def of(cls, labels: Sequence[str]) -> Collection:
        """The one for these classes, in whatever order and spelling they are asked for."""
        return cls(collections_home() / collection_name(labels))

    @property
    def name(self) -> str:
        """Its own, and that of the model that comes of it."""
        return self.folder.name

    @property
    def photos(self) -> Path:
        """Photos as they were fetched, by class."""
        return self.folder / "photos"

    @property
    def jpegs(self) -> Path:
        """The usable ones as RGB JPEG, by class."""
        return self.folder / "set"

    @property
    def manifest(self) -> Path:
        """What is learnt from."""
        return self.folder / f"{self.name}.csv"

    @property
    def training(self) -> Path:
        """What was learnt."""
        return self.folder / "training"

    def passport(self) -> Passport:
        """Open the passport; see there."""
        return Passport(self.photos / PASSPORT)

    def is_done(self, stage: str, depends_on: object) -> bool:
        """Whether a stage was done with the same settings and what came before."""
        return self._stages().get(stage) == digest(depends_on)

    def mark_done(self, stage: str, depends_on: object) -> None:
        """A stage is done. Raises OutputError."""
        stages = {**self._stages(), stage: digest(depends_on)}
        write_whole(self.folder / _STAGES, json.dumps(stages, indent=1).encode())

    def forget_stages(self) -> None:
        """Nothing counts as done any more; photos that were fetched stay."""
        (self.folder / _STAGES).unlink(missing_ok=True)

    def _stages(self) -> dict[str, Any]:
        try:
            told = json.loads((self.folder / _STAGES).read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def collection_name(labels: Sequence[str]) -> str:
    """A folder's name for these classes: their plain words in order, shortened with a digest where they are many."""
    words = sorted(plain(label) for label in labels)
    name = bundle_name("-".join(word.replace(" ", "_") for word in words))
    if len(name) < len("-".join(words)) or not name.isascii():
        return f"{name[:48].strip('._-')}-{digest(words)[:8]}"
    return name


def digest(values: object) -> str:
    """Changes with plain values, whatever their order in a mapping."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
