"""Pictures from a generator's bundle: by class and seed, or on the way from one to another; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, UsageError
from veduta.evaluation.names import match_label, nearest
from veduta.generation.latents import Latents, between, fixed_latents
from veduta.generation.pictures import Pictures
from veduta.images.limits import printable
from veduta.models.bundle import Bundle, GeneratorSpec
from veduta.models.generator_session import GeneratorSession
from veduta.models.store import find

#: Bytes of the pictures of one call; more would only take memory.
MOST_BYTES = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Sample:
    """Generated pictures uint8 ``[n, side, side, 3]``, with the class of each, int64 ``[n]``."""

    pictures: Pictures
    targets: NDArray[np.int64]


class Sampler:
    """A generator, ready to make pictures. Picture i of a seed is the same, however many are asked for at once."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """Raises BundleIncompatible for a model that generates nothing."""
        if bundle.generator is None:
            raise BundleIncompatible(
                f"{bundle.name} is a model of kind {bundle.kind}, and generates nothing; name a generator, as "
                "`veduta generate train` leaves one."
            )
        self.bundle = bundle
        self.spec: GeneratorSpec = bundle.generator
        self._session = GeneratorSession(bundle.graph, self.spec.side, threads)

    @classmethod
    def load(cls, model: str | Path, threads: int | None = None) -> Sampler:
        """A generator by its name in the store or its folder. Raises BundleError."""
        return cls(Bundle.load(find(str(model))), threads)

    @property
    def name(self) -> str:
        """What its pictures are said to be made by."""
        return f"{self.bundle.name} ({self.bundle.bundle_id[:12]})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(label.id for label in self.spec.labels)

    def place_of(self, name: str) -> int:
        """The place of the class that a name means, in any spelling of the spaces. Raises UsageError."""
        place = match_label(name, self.spec.labels)
        if place is None:
            raise UsageError(
                f"{self.bundle.name} makes no {printable(name)!r}{nearest(name, self.spec.labels)}; its classes are "
                f"{', '.join(self.labels[:20])}{', ...' * (len(self.labels) > 20)}."
            )
        return place

    def sample(self, count: int, seed: int = 0, classes: Sequence[str] = (), first: int = 0) -> Sample:
        """``count`` pictures from ``first`` on, of ``classes`` in turn, all of them where none is named.

        Raises UsageError for a class that it does not know, or a number that can't be meant.
        """
        self._check(count, 1, seed)
        targets = self.targets(count, classes, first)
        latents = fixed_latents(self.spec.latent, count, seed, first)
        return Sample(self.make(latents, self._rows(targets)), targets)

    def targets(self, count: int, classes: Sequence[str] = (), first: int = 0) -> NDArray[np.int64]:
        """The class of each picture of such a sample, int64 ``[count]``."""
        places = [self.place_of(name) for name in classes] or list(range(len(self.labels)))
        return np.array([places[place % len(places)] for place in range(first, first + count)], np.int64)

    def interpolate(self, seeds: tuple[int, int], classes: tuple[str, str], steps: int) -> Pictures:
        """``[steps, side, side, 3]``: pictures on the way from one seed and class to another, both among them.

        Raises UsageError for a class that it does not know, or fewer than two steps.
        """
        self._check(steps, 2, *seeds)
        start, end = (fixed_latents(self.spec.latent, 1, seed)[0] for seed in seeds)
        both = self._rows(np.array([self.place_of(name) for name in classes]))
        shares = np.linspace(0, 1, steps, dtype=np.float32)[:, np.newaxis]
        return self.make(between(start, end, steps), (1 - shares) * both[0] + shares * both[1])

    def _check(self, count: int, least: int, *seeds: int) -> None:
        most = MOST_BYTES // (3 * self.spec.side**2)
        if not least <= count <= most:
            raise UsageError(f"{count:,} pictures can't be made at once; give a number from {least} to {most:,}.")
        if min(seeds) < 0:
            raise UsageError(f"the seed {min(seeds)} can't be drawn from; give 0 or more (--seed).")

    def _rows(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = np.zeros((len(targets), len(self.labels)), np.float32)
        rows[np.arange(len(targets)), targets] = 1
        return rows

    def make(self, latents: Latents, classes: NDArray[np.float32]) -> Pictures:
        """Pictures of latent numbers ``[n, latent]`` and classes ``[n, labels]``, rows that sum to 1."""
        return self._session.run(latents, classes)
