"""A process that decodes photos for a pool: requests on standard input, answers on standard output, until its end.

Started as ``python -m veduta.images.worker``; it imports this room alone, so that a death costs little.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import sys
import warnings
from typing import Any, BinaryIO

from veduta.errors import PhotoError
from veduta.images import wire
from veduta.images.decode import Limits, decode, read_bytes


def main(arguments: list[str]) -> None:
    """Serve requests until standard input ends; ``arguments`` holds the limits as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process.
    requests, answers = _take_streams()
    limits = Limits(**json.loads(arguments[0]))
    limit_memory(limits.max_memory)
    warnings.simplefilter("ignore")
    _send(answers, [wire.PREFIX.pack(2, 0) + b"{}"])
    _silence_errors()
    # Photos leave no cycles behind, and what was imported stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    # The parent may end without a word: then there are no more requests, or nobody takes the answer.
    with contextlib.suppress(wire.BrokenFrame, BrokenPipeError):
        while True:
            request, length = wire.read_header(requests)
            content = bytearray(length)
            wire.read_exactly(requests, memoryview(content))
            _send(answers, _serve(request, limits, bytes(content) if request["inline"] else None))


def _serve(request: dict[str, Any], limits: Limits, content: bytes | None) -> list[bytes | memoryview]:
    path: str = request["path"]
    try:
        wanted = wire.decode_wanted(request["wanted"])
        data = read_bytes(path, limits) if content is None else content
        return wire.answer(decode(data, wanted, limits, path))
    except PhotoError as error:
        return wire.refusal(error)


def _send(answers: BinaryIO, pieces: list[bytes | memoryview]) -> None:
    if hasattr(os, "writev"):
        total = sum(len(piece) for piece in pieces)
        sent = os.writev(answers.fileno(), pieces)
        if sent == total:
            return
        # A full pipe took a part of it.
        for piece in pieces:
            view = memoryview(piece)[sent:] if sent < len(piece) else memoryview(b"")
            sent = max(0, sent - len(piece))
            _write(answers, view)
        return
    for piece in pieces:
        _write(answers, memoryview(piece))


def _write(answers: BinaryIO, view: memoryview) -> None:
    while view:
        view = view[answers.write(view) :]


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The real standard streams, for frames alone: what a library prints goes to standard error instead."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return io.FileIO(requests, "rb"), io.FileIO(answers, "wb")


def _silence_errors() -> None:
    """From here on errors travel in frames, and libtiff's complaints must not fill the parent's log."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def limit_memory(allowance: int) -> None:
    """Let the system refuse memory beyond the resting process and ``allowance`` bytes, where it can (Linux)."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        resting = int(file.read().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = resting + allowance
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1:])
