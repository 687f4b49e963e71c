"""The one table from errors to exit codes; ``docs/cli.md`` shows it to users."""

from __future__ import annotations

from veduta.errors import (
    ApiError,
    BundleError,
    FetchError,
    LandmarkIndexError,
    LedgerError,
    MissingExtra,
    OutputError,
    PhotoError,
    SearchError,
    TaxonomyError,
    TrainingError,
    UsageError,
    VedutaError,
)

OK = 0
SOME_PHOTOS_FAILED = 1
FAULT = 70
INTERRUPTED = 130

EXIT_CODES: dict[type[VedutaError], int] = {
    PhotoError: SOME_PHOTOS_FAILED,
    UsageError: 2,
    BundleError: 3,
    LandmarkIndexError: 3,
    TaxonomyError: 4,
    LedgerError: 5,
    OutputError: 6,
    MissingExtra: 7,
    TrainingError: 8,
    FetchError: 9,
    SearchError: 9,
    ApiError: 9,
}


def exit_code(error: VedutaError) -> int:
    """The exit code of the nearest class of the error that the table has."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return FAULT
