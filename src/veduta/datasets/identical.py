"""Photos whose files are the same to the last byte, and files that are not there: a look that decodes nothing.

Empty files and saved error pages are no photos, so they are no copies of each other; whoever decodes them leaves them
out.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from veduta.errors import PhotoError
from veduta.images.decode import digest, read_bytes
from veduta.images.formats import sniff

#: Where more bytes than this would be read, only files that the system knows to be one are found.
MOST_READ = 2**30


@dataclass(frozen=True, slots=True)
class Files:
    """Of n paths, by place: those that are ``missing``, and groups of two or more whose content is the ``same``."""

    missing: tuple[int, ...]
    same: tuple[tuple[int, ...], ...]


def look_at_files(paths: Sequence[str]) -> Files:
    """Files that are not there, and files that are the same; only those of equal size are read."""
    missing: list[int] = []
    one_file: dict[int, Hashable] = {}
    sizes: dict[int, int] = {}
    for place, path in enumerate(paths):
        try:
            status = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            missing.append(place)
        else:
            one_file[place], sizes[place] = (status.st_dev, status.st_ino), status.st_size
    equal = [place for places in _together(sizes) for place in places]
    contents = one_file
    if sum(sizes[place] for place in equal) <= MOST_READ:
        contents = {place: _digest(paths[place]) or one_file[place] for place in equal}
    return Files(tuple(missing), tuple(_together(contents)))


def content_names(paths: Sequence[str]) -> tuple[str, ...]:
    """What each photo is known by wherever it lies: 16 hexadecimal digits of its file's BLAKE3; "" of what is none."""
    return tuple((_digest(path) or "")[:16] for path in paths)


def join_groups(groups: Sequence[str], same: Iterable[Sequence[int]]) -> tuple[str, ...]:
    """The groups ``[n]`` of photos, "" for none, when the photos at the places of each of ``same`` belong together.

    Groups that share a photo become one, transitively, under the name of the first; photos that were in none get a new
    one, ``copies-`` and the place of the first.
    """
    keys = [group or f"\0{place}" for place, group in enumerate(groups)]
    members: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        members[key].append(place)
    for places in same:
        largest, *others = sorted({keys[place] for place in places}, key=lambda key: -len(members[key]))
        for key in others:
            for place in members[key]:
                keys[place] = largest
            members[largest] += members.pop(key)
    found = list(groups)
    for together in members.values():
        if len(together) > 1:
            first = min(together)
            name = next((groups[place] for place in sorted(together) if groups[place]), f"copies-{first}")
            for place in together:
                found[place] = name
    return tuple(found)


def _together(keys: dict[int, Hashable] | dict[int, int]) -> Iterable[tuple[int, ...]]:
    """The places that share a key, in the order of their first."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in keys.items():
        places[key].append(place)
    return (tuple(each) for each in places.values() if len(each) > 1)


def _digest(path: str) -> str | None:
    """That of a photo; None for what is none, of which whoever decodes it will say why."""
    try:
        content = read_bytes(path)
    except PhotoError:
        return None
    return digest(content) if sniff(content) else None
