"""Models in memory, within a budget: each is loaded when it is first used, and the least recently used leaves.

What a model takes is guessed before it is loaded, by the size of its weights, and counted by what its graph needs once
that was read, with one network compiled. Further networks, for the heat maps of photos of other shapes, are counted
when they are compiled, and only as far as there is room (``veduta.models.memory`` has the figures).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from veduta.errors import BundleBusy, BundleCorrupt, BundleNotFound, BundleTooLarge, VedutaError
from veduta.models.bundle import ATTRIBUTES, DESCRIPTION, GRAPH, WEIGHTS
from veduta.models.leases import Lease, Leases, NoRoom, fresh
from veduta.models.memory import guessed_bytes
from veduta.models.store import find_name
from veduta.recognition.tagger import Tagger
from veduta.recognition.tagger import load as load_tagger

#: A remembered failure is tried again after so many seconds, since not every reason lies in the files.
_FAILURE_SECONDS = 60.0
#: A model that nobody used for so many seconds leaves for a further network of one in use.
_UNUSED_SECONDS = 60.0
#: So often loading starts anew, where the files change or the graph needs more than was estimated.
_TRIES = 4
_FILES = (DESCRIPTION, GRAPH, ATTRIBUTES, WEIGHTS)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that counts against the budget: its name, its estimated bytes, and how many use it at this moment."""

    name: str
    bytes: int
    leases: int


@dataclass(frozen=True, slots=True)
class _Version:
    """A bundle on disk, told from every other: its folder, and device, inode, nanoseconds and bytes of its files."""

    name: str
    folder: Path
    files: tuple[tuple[int, int, int, int] | None, ...]

    @classmethod
    def find(cls, name: str) -> _Version:
        """Raises BundleNotFound."""
        folder = find_name(name)
        return cls(name, folder, _stamps(folder))

    def is_current(self) -> bool:
        return _stamps(self.folder) == self.files


class _Again(Exception):
    """Loading has to start anew: the files have changed, or the graph needs more than was reserved."""


class TaggerCache:
    """Models by name, in memory as long as the budget allows; safe to share between threads.

    ``budget`` is the memory budget in bytes, for the models alone: the process itself needs its own beside it. ``load``
    makes a tagger of a bundle's folder. ``guess`` estimates from that folder, and ``need`` from the tagger, how many
    bytes the model will take; ``need`` counts.

    No lock is held while a model is loaded or freed: who uses a loaded one does not wait for another's loading, unless
    the budget is too small for both.
    """

    def __init__(
        self,
        budget: int,
        load: Callable[[Path], Tagger] = load_tagger,
        *,
        guess: Callable[[Path], int] = lambda folder: guessed_bytes(folder / GRAPH),
        need: Callable[[Tagger], int] = Tagger.needed_bytes,
    ) -> None:
        self.budget = budget
        self._load = load
        self._guess = guess
        self._need = need
        self._models: Leases[_Version, Tagger] = Leases(budget, free=lambda tagger: tagger.session.release())
        #: What is known of bundles by name, as long as they are the same on disk.
        self._bytes: dict[str, tuple[_Version, int]] = {}
        self._failures: dict[str, tuple[_Version, VedutaError, float]] = {}
        self._lock = threading.Lock()  # of the two

    @contextmanager
    def use(self, name: str, timeout: float | None = None) -> Iterator[Tagger]:
        """Lease the model of this name for the length of a ``with`` block; loads it where it is not in memory.

        Names are looked up each time, so that a new bundle is found and a replaced one loaded anew. ``timeout`` is how
        many seconds to wait for memory, or for another caller who loads the same model; None waits for as long as it
        takes. Whoever asks for a lease while holding one should give a timeout: two callers who each hold what the
        other waits for would wait for ever. Outside of the block the tagger must not be used: its memory may be freed.

        Raises ``BundleNotFound`` for an unknown name, ``BundleTooLarge`` where the model alone is over the budget,
        ``BundleBusy`` when the time is over, and what ``load`` raises. A failure to load is remembered, and raised
        again at once, until the files of the bundle change or a minute has gone by.
        """
        lease = self._leased(name, None if timeout is None else time.monotonic() + timeout)
        try:
            yield lease.get()
        finally:
            self._models.end(lease)

    def is_loaded(self, name: str) -> bool:
        """Whether a use would find the model ready; one that was replaced or removed on disk is not."""
        try:
            return self._models.is_ready(_Version.find(name))
        except BundleNotFound:
            return False

    def loaded(self) -> list[LoadedModel]:
        """What counts against the budget: those that leave, then the others, the least recently used first."""
        return [LoadedModel(each.key.name, each.bytes, each.leases) for each in self._models.held()]

    def evict_all(self) -> None:
        """Free every model that nobody uses; the others leave when their last lease ends. All may be used again."""
        self._models.leave()

    def _leased(self, name: str, deadline: float | None) -> Lease[_Version, Tagger]:
        for _ in range(_TRIES):
            version = self._current(name)
            try:
                size = self._size(version)
                return self._models.take(version, size, partial(self._make, version, size), deadline)
            except NoRoom as error:
                raise _busy(name, error) from error
            except _Again:
                continue
        raise BundleCorrupt(f"{name}: its files change while it is loaded; ask again when the bundle is whole.")

    def _current(self, name: str) -> _Version:
        """The bundle of this name on disk; one in memory that it replaces leaves, also where there is none any more."""
        try:
            version = _Version.find(name)
        except BundleNotFound:
            self._models.leave(lambda key: key.name == name)
            with self._lock:
                self._bytes.pop(name, None)
                self._failures.pop(name, None)
            raise
        self._models.leave(lambda key: key.name == name and key != version)
        with self._lock:
            failed, error, when = self._failures.get(name, (None, None, 0.0))
        if error is not None and failed == version and time.monotonic() < when + _FAILURE_SECONDS:
            raise fresh(error)
        return version

    def _size(self, version: _Version) -> int:
        """How many bytes the model needs, as far as is known. Raises what the look into its file raises."""
        with self._lock:
            known, size = self._bytes.get(version.name, (None, 0))
        if known != version:
            with self._remembering(version):
                size = self._guess(version.folder)
            self._know(version, size)
        if size > self.budget:
            raise BundleTooLarge(
                f"{version.name}: takes some {_megabytes(size)} of memory, and the memory budget is "
                f"{_megabytes(self.budget)}; raise the memory budget or choose a smaller model."
            )
        return size

    def _know(self, version: _Version, size: int) -> None:
        with self._lock:
            self._bytes[version.name] = (version, size)

    def _make(self, version: _Version, size: int) -> Tagger:
        with self._remembering(version):
            tagger = self._load(version.folder)
        try:
            with self._remembering(version):
                needed = self._need(tagger)
            self._know(version, needed)
            # What was guessed too much is given up, and what is missing may be there to be had at once.
            if not self._models.grow(version, needed - size, _UNUSED_SECONDS) and needed > size:
                raise _Again
            tagger.session.limit(needed, partial(self._more, version))
            with self._remembering(version):
                tagger.warm_up()
        except BaseException:
            tagger.session.release()
            raise
        return tagger

    def _more(self, version: _Version, more: int) -> bool:
        return self._models.grow(version, more, _UNUSED_SECONDS)

    @contextmanager
    def _remembering(self, version: _Version) -> Iterator[None]:
        """Remember what goes wrong with a bundle; raises _Again where it was changed meanwhile."""
        try:
            yield
        except VedutaError as error:
            if not version.is_current():
                raise _Again from error
            with self._lock:
                self._failures[version.name] = (version, fresh(error), time.monotonic())
            raise
        if not version.is_current():
            raise _Again


def _stamps(folder: Path) -> tuple[tuple[int, int, int, int] | None, ...]:
    return tuple(_stamp(folder / name) for name in _FILES)


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _busy(name: str, error: NoRoom) -> BundleBusy:
    if error.making:
        return BundleBusy(f"{name}: is still being loaded; ask again in a moment.")
    return BundleBusy(
        f"{name}: the models at work leave no memory for it; ask again in a moment, or raise the memory budget."
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
