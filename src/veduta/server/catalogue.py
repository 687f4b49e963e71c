"""Which models may be asked, by name alone, and what is told of each; looked up anew for each request.

A bundle's description is read when it is first seen or has changed on disk, so a model that is added to the store shows
up at once, and one that can't be used is shown with the reason.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from veduta.errors import BundleError, BundleNotFound
from veduta.explanation.saliency import map_preprocessing
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import DESCRIPTION, Bundle
from veduta.models.store import Installed, available, installed
from veduta.server.problems import ProblemError

log = structlog.stdlib.get_logger("veduta.server")

#: The word that asks all models.
ALL = "all"


@dataclass(frozen=True, slots=True)
class Known:
    """A model in the store: its bundle, or why it can't be used."""

    installed: Installed
    bundle: Bundle | None
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.installed.name

    @property
    def map_input(self) -> Preprocessing | None:
        """What to ask the decoder for to make its heat maps."""
        return None if self.bundle is None else map_preprocessing(self.bundle)


class Catalogue:
    """The models of the store that may be asked; safe to share between threads.

    ``allowed`` are the only names that may be asked, or none for all. ``default`` answers where none is named.
    """

    def __init__(self, default: str, allowed: Sequence[str] = ()) -> None:
        self.default = default
        self._allowed = frozenset(allowed)
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int, int], Known]] = {}

    def models(self) -> list[Known]:
        """All that may be asked, by name; models of another kind than classifiers are left out."""
        found = [self._known(each) for each in available() if not self._allowed or each.name in self._allowed]
        return [each for each in found if each.bundle is None or each.bundle.kind == "classifier"]

    def find(self, name: str) -> Known:
        """The model of a name. Raises ProblemError, offering the names that there are."""
        if not self._allowed or name in self._allowed:
            with suppress(BundleNotFound):
                known = self._known(installed(name))
                if known.bundle is None or known.bundle.kind == "classifier":
                    return known
        names = [model.name for model in self.models()]
        raise ProblemError(
            404, "unknown_model", f"There is no model {name!r:.100}; there are {', '.join(names)}.", choices=names
        )

    def chosen(self, asked: Sequence[str]) -> list[Known]:
        """The models that a request means: those named, in that order, all, or the default one.

        Raises ProblemError for a name that is none.
        """
        names = list(dict.fromkeys(part.strip() for each in asked for part in each.split(",") if part.strip()))
        if not names:
            return [self.find(self.default)]
        if ALL in names:
            if len(names) > 1:
                raise ProblemError(
                    422, "invalid_parameter", "models: all means each of them; name no others beside it."
                )
            return self.models()
        return [self.find(name) for name in names]

    def _known(self, installed: Installed) -> Known:
        try:
            state = (installed.path / DESCRIPTION).stat()
            stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        except OSError:
            stamp = (0, 0, 0)
        with self._lock:
            kept = self._read.get(installed.path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        try:
            known = Known(installed, Bundle.load(installed.path, verify=False))
        except BundleError as error:
            # The sentence names a path of this machine, which is nobody's business outside.
            log.warning("model can't be read", model=installed.name, error=str(error))
            known = Known(installed, None, f"{installed.name} can't be read; `veduta models verify` tells why.")
        with self._lock:
            self._read[installed.path] = (stamp, known)
        return known
