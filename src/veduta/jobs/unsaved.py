"""Answers on their way into the ledger: one transaction for many, and each findable at once."""

from __future__ import annotations

import time

from veduta.jobs.ledger import Answer, FileState, Ledger

#: A transaction ends with the disk's own confirmation, some milliseconds; so it takes this many answers, or a second's.
_ANSWERS = 256
_SECONDS = 1.0


class Unsaved:
    """What the next transaction will write."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._answers: dict[tuple[str, str], Answer] = {}
        self._files: list[tuple[FileState, str]] = []
        self._since = float("-inf")  # the first answers are written at once: a run that is killed early was not in vain

    def find(self, digest: str, *fingerprints: str) -> Answer | None:
        """The answer to a content under the first of these fingerprints that has one, written or not."""
        for fingerprint in fingerprints:
            if (digest, fingerprint) in self._answers:
                return self._answers[digest, fingerprint]
        return self._ledger.answer(digest, *fingerprints)

    def add(self, answer: Answer) -> None:
        """Take an answer."""
        self._answers[answer.digest, answer.fingerprint] = answer

    def add_file(self, state: FileState | None, digest: str) -> None:
        """Take which content a file has; ``None`` stands for a file that could not be looked at."""
        if state is not None:
            self._files.append((state, digest))

    def commit_if_due(self) -> None:
        """Write if there is enough, or if a second has passed. Raises LedgerError."""
        if len(self._answers) >= _ANSWERS or time.monotonic() - self._since >= _SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write all in one transaction. Raises LedgerError; then everything is still here."""
        if self._answers or self._files:
            self._ledger.record(self._files, self._answers.values())
            self._answers.clear()
            self._files.clear()
        self._since = time.monotonic()
