"""``veduta embed``: a vector for each photo, for search and for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import finish, open_ledger, progress_bar


def embed(
    photos: given.Photos,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given.path, metavar="<path>", help="Write .npy (and paths in .jsonl) or .parquet."
        ),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Name or folder of a model.")] = "places100",
    size: given.Size = None,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
    ledger: given.LedgerFile = None,
    no_ledger: given.NoLedger = False,
    retry_failed: given.RetryFailed = False,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Write the embedding of each photo: what the network sees before it decides.

    \b
    veduta embed holiday/ --out holiday.npy      float32 \\[photos, size]
    veduta embed holiday/ --out holiday.parquet  both in one file (extra parquet)
    """
    from veduta.images.pool import DecodePool
    from veduta.images.sources import expand
    from veduta.jobs.embeddings import open_embedding_writer
    from veduta.jobs.pipeline import tag_photos
    from veduta.jobs.plan import Options

    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    samples = expand(photos, stdin=typer.get_text_stream("stdin") if "-" in photos else None)
    workers = given.decoders_for(threads)
    with DecodePool(workers, limits) as pool, open_ledger(ledger, no_ledger) as opened, progress_bar(quiet) as show:
        (tagger,) = given.load_taggers([model], precision, threads, None, None, top_k=1, embedding=True, size=size)
        assert tagger.bundle.embedding is not None, "load refuses a model without an embedding"
        summary = tag_photos(
            samples,
            [tagger],
            ledger=opened,
            sinks=[open_embedding_writer(out, tagger.bundle.embedding.size)],
            limits=limits,
            options=Options(embedding=True, retry_failed=retry_failed),
            progress=show,
            pool=pool,
        )
    finish(summary, quiet, [str(out)])
