"""The file format of a taxonomy: TOML, one table for each coarse label, with its members and its parent."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast, get_args

from veduta.errors import TaxonomyError
from veduta.labels.text_file import MAX_TEXT, is_name, near_misses, shown

Unlisted = Literal["refuse", "keep", "absent"]

#: Full stops on one line. The parser's time and memory grow with the square of a dotted key's parts, and a key can't
#: go past its line; this keeps the worst file at some 2 s and 250 MB instead of all the memory there is.
MAX_DOTS = 100

_KEYS = ("parent", "members")


@dataclass(frozen=True, slots=True)
class CoarseLabel:
    """A coarse label, the fine labels that it lists itself, and the wider label that it lies in."""

    id: str
    parent: str | None = None
    members: tuple[str, ...] = ()


def parse(text: str, source: str) -> tuple[tuple[CoarseLabel, ...], Unlisted]:
    """The coarse labels of a file, in its order, and what it says of labels that it does not list.

    Raises TaxonomyError where the text is not TOML or has keys and values that the format does not know.
    """
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise TaxonomyError(f"{source} has a line with more than {MAX_DOTS} full stops; break it up.")
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as cause:
        reason = "nested too deeply" if isinstance(cause, RecursionError) else shown(str(cause))
        raise TaxonomyError(f"{source} is not readable as TOML: {reason}; correct it there.") from cause
    unlisted = content.pop("unlisted", "refuse")
    if unlisted not in get_args(Unlisted):
        _refuse(source, "unlisted", f"must be one of {', '.join(get_args(Unlisted))}", unlisted)
    if not content:
        raise TaxonomyError(
            f'{source} has no coarse labels; write a table such as [forest] with members = ["rainforest"].'
        )
    return tuple(_coarse_label(id, table, source) for id, table in content.items()), cast(Unlisted, unlisted)


def _coarse_label(id: str, table: Any, source: str) -> CoarseLabel:
    if not is_name(id):
        raise TaxonomyError(f"{source}: the id '{shown(id)}' must be 1 to {MAX_TEXT} printable characters.")
    if not isinstance(table, Mapping):
        _refuse(source, shown(id), f"must be a table, which begins with the line [{shown(id)}]", table)
    for key in table:
        if key == "unlisted":
            raise TaxonomyError(f"{source}: 'unlisted' stands in [{shown(id)}]; move it above the first table.")
        if key not in _KEYS:
            hint = near_misses(key, _KEYS) or "; known are parent and members."
            raise TaxonomyError(f"{source}: [{shown(id)}] has the key '{shown(key)}', which means nothing here{hint}")
    parent, members = table.get("parent"), table.get("members", [])
    if parent is not None and not is_name(parent):
        _refuse(source, f"{shown(id)}.parent", "must be the id of another coarse label", parent)
    if not isinstance(members, list) or not all(is_name(member) for member in members):
        _refuse(source, f"{shown(id)}.members", "must be a list of label ids", members)
    if len(set(members)) < len(members):
        twice = next(member for index, member in enumerate(members) if member in members[:index])
        raise TaxonomyError(f"{source}: [{shown(id)}] lists '{shown(twice)}' twice; leave one.")
    return CoarseLabel(id, parent, tuple(members))


def _refuse(source: str, key: str, expected: str, value: object) -> NoReturn:
    raise TaxonomyError(f"{source}: '{key}' {expected}, not {shown(repr(value))}.")
