"""Answers to photos by classifiers that did not learn from them: what a threshold can be chosen on."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import OutputError
from veduta.recognition.scoring import probabilities
from veduta.whole_file import write_whole

#: The file in a run's folder, and beside a model in the store.
HELD_OUT = "held_out.npz"


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Logits ``[n, c]`` and the classes ``[n]`` of n photos of one label each."""

    logits: NDArray[np.float32]
    targets: NDArray[np.int64]

    def answers(self, temperature: float | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """How probable the first label of each photo is ``[n]``, and whether it is right ``[n]``."""
        said = probabilities(self.logits, "single_label", temperature)
        return said.max(axis=1), said.argmax(axis=1) == self.targets

    @property
    def bytes(self) -> bytes:
        """As a file."""
        file = io.BytesIO()
        np.savez(file, logits=self.logits, targets=self.targets)
        return file.getvalue()

    def write(self, file: Path) -> None:
        """Keep it. Raises OutputError."""
        write_whole(file, self.bytes)

    @classmethod
    def read(cls, file: Path) -> HeldOut:
        """What ``write`` kept. Raises OutputError where it is not there, or something else."""
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as known:
                logits, targets = known["logits"], known["targets"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise OutputError(f"{file}: the answers that were held out can't be read ({error}); train anew.") from error
        if logits.ndim != 2 or targets.shape != logits.shape[:1] or not np.isfinite(logits).all():
            raise OutputError(f"{file}: holds no answers that were held out; train anew.")
        return cls(logits.astype(np.float32), targets.astype(np.int64))
