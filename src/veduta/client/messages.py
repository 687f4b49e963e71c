"""What goes to a server, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from veduta.client.photos import Upload


@dataclass(frozen=True, slots=True)
class Question:
    """A request: ``query`` may repeat a name; the body is a form of ``fields`` or, where there are any, ``files``.

    ``file_field`` is the name of the form's field that each file is in. ``patient`` is whether a server that is busy
    may be asked again.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Upload] = ()
    file_field: str = "file"
    accept: str = "application/json"
    patient: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; ``kind`` is its media type without parameters, ``id`` the request's, ``retry_after`` seconds."""

    status: int
    kind: str
    id: str | None
    retry_after: float | None
    location: str | None
    body: bytes = field(repr=False)
