"""Licences by one code each, whatever a provider calls them, and which of them are wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from veduta.errors import UsageError

#: Codes of Creative Commons licences and marks, and what else providers tell apart.
CODES = (
    "cc0",
    "pdm",
    "public-domain",
    "by",
    "by-sa",
    "by-nd",
    "by-nc",
    "by-nc-sa",
    "by-nc-nd",
    "all-rights-reserved",
    "unknown",
)

_FREE = frozenset({"cc0", "pdm", "public-domain", "by", "by-sa"})
#: Codes by a word for what one may do.
GROUPS: dict[str, frozenset[str]] = {
    "free": _FREE,
    "commercial": _FREE | {"by-nd"},
    "creative-commons": _FREE | {"by-nd", "by-nc", "by-nc-sa", "by-nc-nd"},
    "any": frozenset(CODES),
}

_TERMS = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)", re.ASCII)
_NAMED = re.compile(r"(?:cc[ -])?(by(?:-(?:nc|nd|sa))*)(?:[ -]\d.*)?", re.ASCII)
_NOBODYS = frozenset(
    {"pd", "public domain", "public-domain", "no known copyright restrictions", "united states government work"}
)
_PARTS = {"attribution": "by", "noncommercial": "nc", "noderivs": "nd", "noderivatives": "nd", "sharealike": "sa"}


@dataclass(frozen=True, slots=True)
class Licences:
    """The codes that are wanted, and how they were asked for."""

    codes: frozenset[str] = GROUPS["any"]
    asked: str = "any"

    def __contains__(self, code: object) -> bool:
        return code in self.codes

    @classmethod
    def read(cls, text: str) -> Licences:
        """Codes and groups, parted by commas. Raises UsageError for one that is not known."""
        codes: set[str] = set()
        for word in (part.strip().lower() for part in text.split(",")):
            if word in GROUPS:
                codes |= GROUPS[word]
            elif word.removeprefix("cc-") in CODES:
                codes.add(word.removeprefix("cc-"))
            else:
                raise UsageError(
                    f"--licence {word!r} is unknown; give codes ({', '.join(CODES)}) or {', '.join(GROUPS)}, parted by "
                    "commas."
                )
        return cls(frozenset(codes), text)


def licence_told(terms: str, name: str) -> str:
    """The code of a licence by the address of its terms, else by its name."""
    by_terms = licence_code(terms)
    return licence_code(name) if by_terms == "unknown" else by_terms


def licence_code(told: str) -> str:
    """The code of a licence that is told by its address or by any of its usual names; "unknown" for others.

    Of what a licence demands nothing is dropped: an unusual name is unknown rather than free.
    """
    text = " ".join(told.lower().split())
    terms = _TERMS.search(text)
    if terms is not None:
        code = {"zero": "cc0", "mark": "pdm", "publicdomain": "public-domain"}.get(terms[1], terms[1])
        return code if code in CODES else "unknown"
    if text.startswith("cc0"):
        return "cc0"
    if text.startswith("public domain mark"):
        return "pdm"
    if text in _NOBODYS or text.startswith("pd-"):
        return "public-domain"
    if text in ("all rights reserved", "all-rights-reserved", "©"):
        return "all-rights-reserved"
    spelt = "-".join(_PARTS.get(part, part) for part in text.removesuffix(" license").split("-"))
    named = _NAMED.fullmatch(text) or _NAMED.fullmatch(spelt)
    return named[1] if named is not None and named[1] in CODES else "unknown"
