"""A model that is there already for the classes that somebody asks for, however they write them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from veduta.errors import BundleError
from veduta.models.bundle import Bundle
from veduta.models.store import available

# Words that are as near as this are the same word: one letter more, less or other in seven, two swapped in eight. A
# short word that is one letter off is another word (cat and car, horse and house).
_SAME, _SHORTEST = 0.85, 6
_APART = re.compile(r"[\s_\-/]+")


def find_by_classes(classes: Sequence[str]) -> Bundle | None:
    """The model in the store or bundled, the first by name, whose classes are these: order, case, plural and spelling
    aside, none more and none fewer. Models that are damaged or tell more than one thing are passed over.
    """
    for installed in available():
        try:
            bundle = Bundle.load(installed.path, verify=False)
        except BundleError:
            continue
        if bundle.kind != "classifier" or len(bundle.heads) != 1:
            continue
        if same_classes(classes, [label.name or label.id for label in bundle.heads[0].labels]) is not None:
            return bundle
    return None


def same_classes(asked: Sequence[str], known: Sequence[str]) -> Mapping[str, str] | None:
    """Which of ``known`` each of ``asked`` means; None where they are not the same classes one by one.

    Equal words are matched before near ones, so that a near one never takes another's place.
    """
    if len(asked) != len(known) or len(set(map(plain, asked))) != len(asked):
        return None
    left = {plain(each): each for each in known}
    found: dict[str, str] = {}
    for each in asked:
        if plain(each) in left:
            found[each] = left.pop(plain(each))
    for each in asked:
        if each in found:
            continue
        near = [word for word in left if _alike(plain(each), word)]
        if len(near) != 1:
            return None
        found[each] = left.pop(near[0])
    return found


def plain(name: str) -> str:
    """A name without what people write differently: case, accents, hyphens and underscores, an English plural."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    words = _APART.split("".join(letter for letter in letters if not unicodedata.combining(letter)).strip())
    return " ".join([*words[:-1], _singular(words[-1])])


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _alike(one: str, other: str) -> bool:
    if min(len(one), len(other)) < _SHORTEST or one[0] != other[0]:
        return False
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SAME
