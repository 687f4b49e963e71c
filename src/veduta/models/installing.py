"""A finished model into the store, with what belongs beside it: files that are no part of the model itself."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from veduta.errors import OutputError, UsageError
from veduta.models.bundle import Bundle, check_target, move_into_place
from veduta.models.store import home
from veduta.whole_file import write_whole

#: Beside a model that learnt from photos that are to be forgotten: how many, and since when.
FORGOTTEN = "forgotten.json"


def install(bundle: Bundle, name: str, beside: Mapping[str, bytes]) -> Bundle:
    """Copy a model into the store as ``name``, in place of one that is there, with the files ``beside`` it.

    What appears is whole. Raises UsageError where something else has the place, OutputError.
    """
    target = home() / name
    check_target(target, replace=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
        try:
            shutil.copytree(bundle.path, made, dirs_exist_ok=True)
            made.chmod(0o755)
            for file, content in beside.items():
                if (made / file).exists():
                    raise UsageError(f"{file} is a file of the model itself; call what lies beside it otherwise.")
                (made / file).write_bytes(content)
            move_into_place(made, target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{target}: the model can't be written ({error.strerror or error}).") from error
    return Bundle.load(target)


def mark_forgotten(folder: Path, photos: int) -> None:
    """Mark the model in ``folder``: it learnt from so many photos more that are to be forgotten. Raises OutputError."""
    before, since = forgotten_photos(folder)
    told = {"photos": before + photos, "since": since or datetime.now(UTC).date().isoformat()}
    write_whole(folder / FORGOTTEN, json.dumps(told).encode())


def forgotten_photos(folder: Path) -> tuple[int, str]:
    """From how many photos that are to be forgotten a model learnt, and since which day that is known; 0 and ""."""
    try:
        told = json.loads((folder / FORGOTTEN).read_bytes())
        return int(told["photos"]), str(told["since"])
    except FileNotFoundError:
        return 0, ""
    except (OSError, ValueError, KeyError, TypeError):
        return 1, "an unknown day"  # somebody marked it, whatever became of the mark
