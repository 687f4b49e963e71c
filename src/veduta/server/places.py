"""How many may be in the house at once. Who finds it full is told at once when to come back, and waits nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from veduta.server.problems import ProblemError

#: What a client that finds the house full is told to wait, in seconds.
RETRY_AFTER = 1
#: Uploads come in at the pace of their senders, so more of them may be under way than photos are worked on.
_UPLOADS_A_PLACE = 4


class Places:
    """Counts uploads that come in and photos that are worked on. Used by the event loop's thread alone."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.uploads = self.taken = 0

    @property
    def full(self) -> bool:
        return self.taken >= self.most

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Room for a body that comes in. Raises ProblemError where there is none, or none for its photo afterwards."""
        self._check()
        if self.uploads >= self.most * _UPLOADS_A_PLACE:
            raise _full(self.most)
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, until the answer is there or nobody waits for it any more. Raises ProblemError."""
        self._check()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    def _check(self) -> None:
        if self.full:
            raise _full(self.most)


def _full(most: int) -> ProblemError:
    return ProblemError(
        503,
        "queue_full",
        f"The server works on {most} photos already; ask again in a second.",
        retry_after=RETRY_AFTER,
    )
