"""Which label the folder of somebody else's set means.

A folder is understood where it has a label's own name, in any spelling of the spaces: ``church-outdoor``,
``football_stadium`` for ``stadium/football``. Nothing is guessed from likeness.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from veduta.labels.categories import known_labels
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.text_file import listed
from veduta.records import Label

_NO_LETTER = re.compile(r"[\W_]+")


def match_label(folder: str, labels: Sequence[Label]) -> int | None:
    """The place in ``labels`` of the one that a folder's name means, or None.

    First its id or name as it is written, then the same words in the same order, then in any order; where two labels
    have the same words, neither is taken.
    """
    exact = [index for index, label in enumerate(labels) if folder in (label.id, label.id.replace("/", "-"))]
    exact = exact or [index for index, label in enumerate(labels) if folder == label.name]
    if len(exact) == 1:
        return exact[0]
    for key in (_words, lambda text: sorted(_words(text))):
        same = {index for index, label in enumerate(labels) if key(folder) in (key(label.id), key(label.name))}
        if len(same) == 1:
            return same.pop()
    return None


def coarse_of_folder(folder: str, taxonomy: Taxonomy) -> str | None:
    """The coarse label that a folder's name means, or None.

    It may be the name of a coarse label, of one fine label, or of several that differ in their qualifier alone and lie
    in one coarse label (``stadium`` is ``stadium/football`` and ``stadium/baseball``). A wider label, such as nature,
    is none: the photos of one could be several of its coarse labels.
    """
    coarse = [Label(each.id, each.id) for each in taxonomy.coarse_labels if each.members]
    found = match_label(folder, coarse)
    if found is not None:
        return coarse[found].id
    fine = _fine_labels(taxonomy)
    found = match_label(folder, fine)
    if found is not None:
        return taxonomy.coarse_of(fine[found].id)
    kinds = [label.id for label in fine if "/" in label.id and _words(label.id.partition("/")[0]) == _words(folder)]
    of_kinds = {taxonomy.coarse_of(id) for id in kinds}
    return of_kinds.pop() if len(of_kinds) == 1 else None


def near_labels(name: str, labels: Sequence[Label], most: int = 3) -> tuple[str, ...]:
    """The ids of labels that a name resembles which means none of them: first those alike, then those of its words."""
    words = _words(name)
    spelt = {" ".join(_words(text)): label.id for label in labels for text in (label.name, label.id)}
    near = [spelt[each] for each in get_close_matches(" ".join(words), spelt, most, 0.7)]
    # A qualifier alone (church/outdoor) says nothing.
    near += [label.id for label in labels if set(_words(label.id.partition("/")[0])) & set(words)]
    return tuple(dict.fromkeys(near))[:most]


def nearest(name: str, labels: Sequence[Label]) -> str:
    """``; did you mean 'kitchen'?`` where labels resemble a name, else nothing."""
    near = near_labels(name, labels)
    return f"; did you mean {listed(near)}?" if near else ""


def _fine_labels(taxonomy: Taxonomy) -> list[Label]:
    """Every label that a coarse one lists, those of Places with their names."""
    known = {label.id: label for label in known_labels()}
    members = [member for coarse in taxonomy.coarse_labels for member in coarse.members]
    return [known.get(member) or Label(member, member) for member in members]


def spelt_alike(name: str, other: str) -> bool:
    """Whether two names are the same words, in any spelling of the spaces."""
    return _words(name) == _words(other)


def _words(text: str) -> list[str]:
    return [word for word in _NO_LETTER.split(text.casefold()) if word]
