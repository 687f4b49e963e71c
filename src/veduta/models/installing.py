"""A finished model into the store, with what belongs beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from veduta.errors import OutputError, UsageError
from veduta.models.bundle import Bundle, check_target, move_into_place
from veduta.models.store import home


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
