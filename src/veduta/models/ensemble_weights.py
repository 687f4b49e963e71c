"""How much each of several models counts where they answer together, as it was learnt: ``ensembles.json``.

The file lies beside the store of models. Weights are filed under the ``bundle_id`` of each model, so a model that was
trained again is another one, and its earlier weights no longer hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from veduta.errors import BundleCorrupt, BundleIncompatible
from veduta.images.part_file import claim
from veduta.models.json_reader import JsonObject, read_object
from veduta.models.store import home
from veduta.records import Basis
from veduta.whole_file import not_written, write_whole

FILE = "ensembles.json"
FORMAT_VERSION = 1
MAX_BYTES = 2**20
MAX_ENSEMBLES = 1000
MAX_MODELS = 64

_ADVICE = "correct the file or remove it; without it each model weighs the same"


@dataclass(frozen=True, slots=True)
class Member:
    """A model of an ensemble and its ``weight``; the ``name`` is what it was called then."""

    name: str
    bundle_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class EnsembleWeights:
    """What was learnt of models that answer together over ``basis``; the weights of the ``members`` sum to one.

    ``data`` names the set that they were learnt on and ``photos`` how many of it counted. ``loss_equal`` is the log
    loss in nats of equal weights on them, ``loss_weighted`` that of weights learnt on nine tenths and judged on the
    last, in turn.
    """

    basis: Basis
    members: tuple[Member, ...]
    data: str
    photos: int
    loss_equal: float
    loss_weighted: float

    @property
    def learnt_on(self) -> str:
        """The set and its size, in words."""
        return f"{self.data}, {self.photos:,} photos"

    @property
    def bundle_ids(self) -> frozenset[str]:
        """Of all members."""
        return frozenset(member.bundle_id for member in self.members)

    def weights_of(self, bundle_ids: Sequence[str]) -> tuple[float, ...]:
        """The weights in the order of these ids, which are those of the members."""
        by_id = {member.bundle_id: member.weight for member in self.members}
        return tuple(by_id[each] for each in bundle_ids)


def weights_file() -> Path:
    """Where learnt weights are kept, beside the store; the file need not exist yet."""
    return home().with_name(FILE)


def find_weights(bundle_ids: Sequence[str], basis: Basis) -> EnsembleWeights | None:
    """What was learnt of exactly these models over this basis; None where nothing was, or one is there twice.

    Raises BundleCorrupt, BundleIncompatible where the file can't be read.
    """
    wanted = frozenset(bundle_ids)
    if len(wanted) < len(bundle_ids):
        return None
    return next((each for each in read_weights() if (each.bundle_ids, each.basis) == (wanted, basis)), None)


def read_weights() -> tuple[EnsembleWeights, ...]:
    """All that was learnt; nothing where there is no file.

    Raises BundleCorrupt where it is not what the format says, BundleIncompatible for another format version.
    """
    path = weights_file()
    try:
        # Opening a pipe would wait for its writer, for ever.
        if path.exists() and not path.is_file():
            raise BundleCorrupt(f"{path}: is no plain file; remove it, and each model weighs the same.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BundleCorrupt(f"{path}: can't be read ({error.strerror or error}); check its permissions.") from error
    return _parsed(path, data)


def keep_weights(learnt: EnsembleWeights) -> Path:
    """File what was learnt, in place of what was known of the same models over the same basis; the file's path.

    Raises OutputError, and what ``read_weights`` raises, also where what was learnt could not be read again.
    """
    with _alone():
        _write((*_others(learnt.bundle_ids, learnt.basis), learnt))
    return weights_file()


def drop_weights(bundle_ids: Sequence[str], basis: Basis) -> bool:
    """Forget what was learnt of these models over this basis; False where nothing was.

    Raises OutputError, and what ``read_weights`` raises.
    """
    if find_weights(bundle_ids, basis) is None:
        return False
    with _alone():
        _write(_others(frozenset(bundle_ids), basis))
    return True


def _others(bundle_ids: frozenset[str], basis: Basis) -> tuple[EnsembleWeights, ...]:
    return tuple(each for each in read_weights() if (each.bundle_ids, each.basis) != (bundle_ids, basis))


def _write(ensembles: Sequence[EnsembleWeights]) -> None:
    values = {"format_version": FORMAT_VERSION, "ensembles": [_values(each) for each in ensembles]}
    data = (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    path = weights_file()
    _parsed(path, data)
    write_whole(path, data)


def _values(learnt: EnsembleWeights) -> dict[str, Any]:
    return {
        "basis": learnt.basis,
        "models": [
            {"name": member.name, "bundle_id": member.bundle_id, "weight": member.weight} for member in learnt.members
        ],
        "data": learnt.data,
        "photos": learnt.photos,
        "loss_equal": learnt.loss_equal,
        "loss_weighted": learnt.loss_weighted,
    }


def _parsed(path: Path, data: bytes) -> tuple[EnsembleWeights, ...]:
    if len(data) > MAX_BYTES:
        raise BundleCorrupt(f"{path}: is larger than the limit of {MAX_BYTES:,} bytes; {_ADVICE}.")
    top = read_object(path, data, _ADVICE)
    version = top.integer("format_version", 1, 2**31)
    if version > FORMAT_VERSION:
        raise BundleIncompatible(
            f"{path}: has format version {version}, this Veduta reads version {FORMAT_VERSION}; upgrade Veduta."
        )
    top.only("format_version", "ensembles")
    found: dict[tuple[frozenset[str], str], EnsembleWeights] = {}
    for entry in top.entries("ensembles", MAX_ENSEMBLES):
        learnt = _ensemble(entry)
        if (learnt.bundle_ids, learnt.basis) in found:
            entry.refuse("models", "must be of one entry only, they are there twice")
        found[learnt.bundle_ids, learnt.basis] = learnt
    return tuple(found.values())


def _ensemble(entry: JsonObject) -> EnsembleWeights:
    entry.only("basis", "models", "data", "photos", "loss_equal", "loss_weighted")
    learnt = EnsembleWeights(
        basis=cast(Basis, entry.choice("basis", ("labels", "coarse"))),
        members=tuple(_member(each) for each in entry.entries("models", MAX_MODELS)),
        data=entry.text("data"),
        photos=entry.integer("photos", 1, 2**53),
        loss_equal=entry.number("loss_equal", 0.0),
        loss_weighted=entry.number("loss_weighted", 0.0),
    )
    if len(learnt.members) < 2 or len(learnt.bundle_ids) < len(learnt.members):
        entry.refuse("models", "must be two models or more, each once")
    if not math.isclose(sum(member.weight for member in learnt.members), 1.0, abs_tol=1e-6):
        entry.refuse("models", "must have weights that sum to one")
    return learnt


def _member(entry: JsonObject) -> Member:
    entry.only("name", "bundle_id", "weight")
    return Member(entry.text("name"), entry.text("bundle_id"), entry.number("weight", 0.0, 1.0))


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else changes the file meanwhile. Raises OutputError."""
    path = weights_file()
    lock = path.with_name(f"{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise not_written(path, error) from error
    with file:
        claim(file, wait=True)
        yield
