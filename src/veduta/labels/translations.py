"""The names of scenes and coarse labels in five languages; scores carry ids, and only readers see names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from veduta.errors import TaxonomyError, UsageError
from veduta.records import Label

#: English, German, Russian, Portuguese, Chinese (simplified); the columns of ``data/names.tsv``.
LANGUAGES = ("en", "de", "ru", "pt", "zh")

Kind = Literal["scene", "coarse"]


def name_of(label: Label, language: str) -> str:
    """The name of a scene in a language. A label that is none of Veduta's scenes keeps its own name.

    Raises UsageError for a language other than those in ``LANGUAGES``.
    """
    return _find("scene", label.id, language) or label.name


def coarse_name(coarse_id: str, language: str) -> str:
    """The name of a coarse label in a language.

    A scene that a taxonomy keeps as its own coarse label has the scene's name; a coarse label that somebody else's
    taxonomy made up keeps its id, made readable.

    Raises UsageError for a language other than those in ``LANGUAGES``.
    """
    return _find("coarse", coarse_id, language) or _find("scene", coarse_id, language) or readable(coarse_id)


def readable(id: str) -> str:
    """An id as words: ``stone_bridge/old`` reads ``stone bridge (old)``."""
    first, *rest = (part.replace("_", " ").strip() for part in id.split("/"))
    qualifier = ", ".join(filter(None, rest))
    return f"{first} ({qualifier})" if first and qualifier else first or qualifier or id


def _find(kind: Kind, id: str, language: str) -> str | None:
    if language not in LANGUAGES:
        raise UsageError(f"The language {language!r} is not known; choose one of {', '.join(LANGUAGES)}.")
    names = _names().get((kind, id))
    return names[LANGUAGES.index(language)] if names else None


@cache
def _names() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(kind, id) to the names in the order of ``LANGUAGES``."""
    text = files("veduta.labels").joinpath("data", "names.tsv").read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in text.splitlines())
    if header != ["kind", "id", *LANGUAGES] or any(len(row) != len(header) for row in rows):
        raise TaxonomyError("names.tsv, which is part of Veduta, has the wrong columns; install Veduta again.")
    return {(kind, id): tuple(names) for kind, id, *names in rows}
