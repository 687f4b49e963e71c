"""A job over photos: many in, rows out in the same order, each content answered once, and nothing done twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from veduta.errors import VedutaError
from veduta.images.decode import Limits
from veduta.images.pool import DecodePool
from veduta.jobs.flow import Counts, Flow
from veduta.jobs.ledger import Ledger
from veduta.jobs.listing import Listing
from veduta.jobs.plan import Options, make_plan
from veduta.jobs.writers import Sink
from veduta.models.threads import available_threads
from veduta.records import Sample

if TYPE_CHECKING:
    from veduta.recognition.tagger import Tagger

Progress = Counts


@dataclass(frozen=True, slots=True)
class Summary:
    """How a job ended.

    ``total`` photos were listed; ``answered`` have an answer and ``failed`` a failure. ``from_ledger`` of both were
    known before their turn came, from an earlier run or from an equal photo. ``nothing_fits`` of the answers say that
    none of the labels does. ``interrupted``: the user stopped the job, what was done is in the ledger, and no result
    was written.
    """

    total: int
    answered: int
    failed: int
    from_ledger: int
    nothing_fits: int
    seconds: float
    interrupted: bool = False


def tag_photos(
    samples: Iterable[Sample],
    taggers: Sequence[Tagger],
    *,
    ledger: Ledger,
    sinks: Sequence[Sink] = (),
    workers: int | None = None,
    limits: Limits | None = None,
    options: Options | None = None,
    progress: Callable[[Progress], None] | None = None,
    pool: DecodePool | None = None,
) -> Summary:
    """Answer every photo, in order, into the sinks; what the ledger knows is not computed again.

    ``workers`` processes decode (one for each core that this process may use, where None), unless a running ``pool``
    is given, which its giver closes. A photo that can't be read becomes a failure row and the job goes on. On Ctrl-C
    the answers so far are committed and the summary says ``interrupted``; the same call goes on from there.

    Raises UsageError for what can't be meant, LedgerError where the ledger can't be written, and OutputError from the
    sinks; then the sinks are abandoned, and the answers so far are in the ledger.
    """
    limits, options = limits or Limits(), options or Options()
    started = time.monotonic()
    with ExitStack() as stack:
        try:
            plan = make_plan(taggers, limits, options)
            if pool is None:
                pool = stack.enter_context(DecodePool(workers or available_threads(), limits))
            listing = stack.enter_context(Listing(samples))
            flow = Flow(plan, ledger=ledger, sinks=sinks, pool=pool, limits=limits, progress=progress)
            interrupted = not flow.run(listing)
            if interrupted:
                _abandon(sinks)
            else:
                for sink in sinks:
                    sink.finish()
        except BaseException:
            _abandon(sinks)
            raise
    counts = flow.counts
    return Summary(
        total=counts.total,
        answered=counts.answered,
        failed=counts.failed,
        from_ledger=counts.from_ledger,
        nothing_fits=counts.nothing_fits,
        seconds=time.monotonic() - started,
        interrupted=interrupted,
    )


def _abandon(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        with suppress(VedutaError, OSError):
            sink.abandon()
