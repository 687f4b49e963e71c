"""One side of the comparison in a process of its own, which does a pass each time that it is told to.

So no side's threads, allocator or imports disturb another's, each is loaded and warm, and they run in turn: while one
works, the others wait on their standard input.

    python -m bench.side '{"kind": "torch", ...}'    answers each line of its input by one line of JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, cast

import psutil  # type: ignore[import-untyped]

from bench.settings import ROOT

Kind = Literal["veduta", "torch", "torch channels-last", "transformers"]
Part = Literal["pipeline", "decode", "inference"]


@dataclass(frozen=True, slots=True)
class Spec:
    """What a side is made of; ``photos`` are the first ``count`` of a folder, by name. ``batch`` is the others'."""

    kind: Kind
    network: str
    bundle: str
    photos: str
    count: int
    precision: str
    batch: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the photos: wall time, CPU time of all processes of the side, and the classes that it found."""

    seconds: float
    cpu_seconds: float
    found: list[int]


class _Side(Protocol):
    def facts(self) -> dict[str, Any]: ...

    def pipeline(self) -> list[int]: ...

    def close(self) -> None: ...


class SideProcess:
    """A side, started and loaded."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.side", json.dumps(asdict(spec))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.facts: dict[str, Any] = self._answer()

    def measure(self, part: Part = "pipeline") -> Pass:
        """Do one pass now."""
        assert self._process.stdin is not None
        self._process.stdin.write(part + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Pass(answer["seconds"], answer["cpu_seconds"], answer["found"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The side {self.spec} ended; its last words are above.")
        return cast("dict[str, Any]", json.loads(line))

    def __enter__(self) -> SideProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(arguments: list[str]) -> None:
    """Load a side, say its facts, and do a pass for each line of standard input."""
    # What a library prints goes to standard error, so that answers stay answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    spec = Spec(**json.loads(arguments[0]))
    side = _make(spec)
    me = psutil.Process()

    def say(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    say(side.facts())
    for line in sys.stdin:
        before, began = _cpu_seconds(me), time.perf_counter()
        found = getattr(side, line.strip())()
        seconds = time.perf_counter() - began
        say({"seconds": seconds, "cpu_seconds": _cpu_seconds(me) - before, "found": found})
    side.close()


def _make(spec: Spec) -> _Side:
    photos = sorted(Path(spec.photos).glob("*.jpg"))[: spec.count]
    if spec.kind == "veduta":
        from bench.ours import VedutaSide

        return VedutaSide(Path(spec.bundle), photos, cast(Any, spec.precision))
    from bench.rivals import HuggingFaceSide, TorchSide

    network = cast(Any, spec.network)
    if spec.kind == "transformers":
        return HuggingFaceSide(network, photos, spec.batch)
    return TorchSide(network, photos, spec.batch, channels_last=spec.kind == "torch channels-last")


def _cpu_seconds(process: psutil.Process) -> float:
    """Of this process, its living children, and those of them that have ended."""
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return float(total)


if __name__ == "__main__":
    main(sys.argv[1:])
