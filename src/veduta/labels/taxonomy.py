"""Fine labels to the everyday labels that people use, which may lie in wider ones: rainforest, forest, nature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from veduta.errors import TaxonomyError
from veduta.labels.categories import known_labels
from veduta.labels.taxonomy_file import CoarseLabel, Unlisted, parse
from veduta.labels.text_file import listed, near_misses, read_text, shown
from veduta.records import Label

#: A taxonomy above this is some other file.
MAX_TAXONOMY_BYTES = 2**19


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Which coarse label holds which fine ones; each fine label lies in one coarse label.

    ``unlisted`` says what becomes of a model that has a label which no coarse label lists. ``refuse``: an error,
    because the coarse probabilities would not add up. ``keep``: such a label is its own coarse label. ``absent``: the
    model's labels are left as they are; so the shipped taxonomy, which knows places, guesses nothing about cats.
    """

    coarse_labels: tuple[CoarseLabel, ...]
    unlisted: Unlisted = "refuse"
    source: str = "the taxonomy"
    _by_id: dict[str, CoarseLabel] = field(init=False, repr=False, compare=False)
    _coarse: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {coarse.id: coarse for coarse in self.coarse_labels}
        coarse_of: dict[str, str] = {}
        if len(by_id) < len(self.coarse_labels):
            raise TaxonomyError(f"{self.source} has a coarse label twice; leave one.")
        for coarse in self.coarse_labels:
            for member in coarse.members:
                other = coarse_of.setdefault(member, coarse.id)
                if other != coarse.id:
                    raise TaxonomyError(
                        f"{self.source} lists '{shown(member)}' in [{shown(other)}] and in [{shown(coarse.id)}]; "
                        "leave it in one."
                    )
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_coarse", coarse_of)
        self._check_parents()
        self._check_clashes(coarse_of)

    @staticmethod
    def load(path: Path | None = None) -> Taxonomy:
        """The taxonomy of a TOML file, or the shipped one, which covers all categories of Places.

        Raises TaxonomyError, with the file and what to write, where the file can't be read or contradicts itself.
        """
        if path is None:
            return _shipped()
        source = shown(str(path))
        return Taxonomy(*parse(read_text(path, MAX_TAXONOMY_BYTES, TaxonomyError), source), source)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all coarse labels, the wider ones included, in the order of the file."""
        return tuple(self._by_id)

    def coarse_of(self, label_id: str) -> str | None:
        """The coarse label that lists a fine one; for one that none lists, itself where it is kept, else None."""
        return self._coarse.get(label_id, label_id if self.unlisted == "keep" else None)

    def ancestors(self, coarse_id: str) -> tuple[str, ...]:
        """The wider labels that a coarse label lies in, nearest first; none for an unlisted label that is kept."""
        found: list[str] = []
        coarse = self._by_id.get(coarse_id)
        while coarse is not None and coarse.parent is not None:
            found.append(coarse.parent)
            coarse = self._by_id[coarse.parent]
        return tuple(found)

    def members(self, coarse_id: str) -> tuple[str, ...]:
        """The fine labels of a coarse label and of all that lie in it, in the order of the file."""
        return tuple(
            member
            for coarse in self.coarse_labels
            if coarse.id == coarse_id or coarse_id in self.ancestors(coarse.id)
            for member in coarse.members
        )

    def apply(self, labels: Sequence[Label], others: Sequence[Label] = ()) -> tuple[Label, ...]:
        """A model's labels, each with its coarse label; see the class for labels that the taxonomy does not list.

        ``others`` are the labels of further models that the same file serves.

        Raises TaxonomyError where the taxonomy does not fit the labels, as ``validate`` does.
        """
        self.validate(labels, others)
        if self.unlisted == "absent" and any(label.id not in self._coarse for label in labels):
            return tuple(labels)
        return tuple(replace(label, coarse=self.coarse_of(label.id)) for label in labels)

    def validate(self, labels: Sequence[Label], others: Sequence[Label] = ()) -> None:
        """Raise TaxonomyError where the file names a label that no model knows, or a model's label fits nowhere.

        Known are the categories of Places, ``labels``, and ``others``.
        """
        known = {label.id for label in (*known_labels(), *labels, *others)}
        unknown = [member for member in self._coarse if member not in known]
        if unknown:
            raise TaxonomyError(
                f"{self.source} lists {listed(unknown)}, which no model knows"
                f"{near_misses(unknown[0], sorted(known)) or '; correct or remove what is wrong.'}"
            )
        unlisted = [label.id for label in labels if label.id not in self._coarse]
        if unlisted and self.unlisted == "refuse":
            raise TaxonomyError(
                f"{self.source} does not list {listed(unlisted)} of the model's labels; add them to a coarse label, "
                'or write unlisted = "keep" above the first table, and each of them is its own.'
            )
        if self.unlisted == "keep":
            self._check_clashes(unlisted)

    def _check_parents(self) -> None:
        parents = {coarse.parent for coarse in self.coarse_labels}
        for coarse in self.coarse_labels:
            if not coarse.members and coarse.id not in parents:
                raise TaxonomyError(
                    f"{self.source}: [{shown(coarse.id)}] is empty; give it members, or make it the parent of another."
                )
            if coarse.parent is not None and coarse.parent not in self._by_id:
                raise TaxonomyError(
                    f"{self.source}: [{shown(coarse.id)}] has the parent '{shown(coarse.parent)}', which has no table"
                    f"{near_misses(coarse.parent, self.ids) or '; add one.'}"
                )
        # Labels known to end at a label without a parent; each is walked over once.
        ended: set[str] = set()
        for coarse in self.coarse_labels:
            way: dict[str, None] = {}
            at: str | None = coarse.id
            while at is not None and at not in ended:
                if at in way:
                    circle = " in ".join(f"[{shown(id)}]" for id in [*list(way)[list(way).index(at) :], at])
                    raise TaxonomyError(f"{self.source} has parents in a circle: {circle}; remove one 'parent'.")
                way[at] = None
                at = self._by_id[at].parent
            ended.update(way)

    def _check_clashes(self, fine: Sequence[str] | dict[str, str]) -> None:
        """One word must not mean two things: a coarse label may have a fine one's id only where it holds that one."""
        for id in fine:
            if id in self._by_id and id not in self._lies_in(id):
                raise TaxonomyError(
                    f"{self.source}: '{shown(id)}' is a coarse label and also a label of the model that lies outside "
                    f"it; list it in [{shown(id)}], or call the coarse label something else."
                )

    def _lies_in(self, label_id: str) -> tuple[str, ...]:
        coarse = self._coarse.get(label_id)
        return () if coarse is None else (coarse, *self.ancestors(coarse))


@cache
def _shipped() -> Taxonomy:
    name = "everyday.toml"
    text = files("veduta.labels").joinpath("data", name).read_text(encoding="utf-8")
    return Taxonomy(*parse(text, name), name)
