"""From a model's name to its folder, and from somebody's ONNX file to a model.

The store is a folder of bundles in the user's data folder; ``VEDUTA_HOME`` names another place. Models that come with
Veduta lie beside this file.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from veduta.errors import BundleNotFound
from veduta.models.description import NAME

BUNDLED = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that its name alone finds: in the user's store, or bundled with Veduta."""

    name: str
    path: Path
    place: Literal["store", "bundled"]


def home() -> Path:
    """The store: ``$VEDUTA_HOME/models``, else ``veduta/models`` in the user's data folder. It need not exist yet."""
    chosen = os.environ.get("VEDUTA_HOME")
    if chosen:
        return Path(chosen).expanduser() / "models"
    return platformdirs.user_data_path("veduta", appauthor=False) / "models"


def available() -> list[Installed]:
    """The models that a name finds, by name; one in the store goes before a bundled one of the same name."""
    found = {each.name: each for each in [*_within(BUNDLED, "bundled"), *_within(home(), "store")]}
    return [found[name] for name in sorted(found)]


def find(name_or_path: str | Path) -> Path:
    """The folder of a model.

    A plain name is looked up in the store, then among the bundled models, and only then as a folder here: a folder
    that happens to lie in the working folder must not pass for ``places100``. A path (``./places100``, ``/models/a``)
    is that folder.
    Raises ``BundleNotFound``, naming what is there.
    """
    text = str(name_or_path)
    found = _named(text)
    if found is not None:
        return found
    folder = Path(name_or_path)
    try:
        if (folder / "model.json").is_file():
            return folder
        is_folder = folder.is_dir()
    except (OSError, ValueError):  # a name too long for the system, or with a zero byte in it
        is_folder = False
    if is_folder:
        raise BundleNotFound(f"{text}: is a folder without a model.json, so no model; name a model or its folder.")
    raise BundleNotFound(f"{text!r}: no model has this name and no folder this path; {_near(text)}")


def installed(name: str) -> Installed:
    """The model of this name, as ``available`` would list it, without listing the others.

    Raises ``BundleNotFound``, naming what is there.
    """
    folder = find_name(name)
    return Installed(name, folder, "bundled" if folder.parent == BUNDLED else "store")


def find_name(name: str) -> Path:
    """The folder of the model of this name, in the store or bundled; never a path that somebody else chose.

    Raises ``BundleNotFound``, naming what is there.
    """
    found = _named(name)
    if found is None:
        raise BundleNotFound(f"{name[:80]!r}: no model has this name; {_near(name)}")
    return found


def _named(name: str) -> Path | None:
    if not NAME.fullmatch(name):
        return None
    for place in (home(), BUNDLED):
        try:
            # The place is listed, and not asked for this name: some file systems would find PLACES100 as well. A server
            # asks for each photo, and iterdir takes ten times as long.
            if name in os.listdir(place) and (place / name / "model.json").is_file():  # noqa: PTH208
                return place / name
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # no store yet, or one that may not be read
            continue
    return None


def _near(name: str) -> str:
    names = [model.name for model in available()]
    near = difflib.get_close_matches(name, names, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}."


def _within(folder: Path, place: Literal["store", "bundled"]) -> list[Installed]:
    try:
        entries = list(folder.iterdir())
        return [
            Installed(each.name, each, place)
            for each in entries
            if NAME.fullmatch(each.name) and (each / "model.json").is_file()
        ]
    except OSError:  # no store yet, or one that may not be read: then nothing is found in it
        return []
