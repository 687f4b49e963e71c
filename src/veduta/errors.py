"""Every error that Veduta raises, in one tree.

    VedutaError
    ├── UsageError                  an argument that can't be meant: an unknown label, an empty folder
    ├── MissingExtra                an optional dependency is needed; says which extra to install
    ├── PhotoError                  one photo can't be used; a job turns it into a Failure row
    │   ├── PhotoNotFound           the file has vanished or never was
    │   ├── PhotoUnreadable         the file is there, the system refuses to read it
    │   ├── UnsupportedFormat       not one of the allowed formats
    │   ├── CorruptPhoto            an allowed format, but the content can't be decoded
    │   ├── PhotoTooLarge           over the limit of bytes or pixels
    │   ├── PhotoTooSlow            over the deadline for one photo
    │   ├── DecoderDied             the decoding process died on it, twice
    │   ├── NoDecoder               no decoding process starts; the photo is not at fault
    │   └── NoAnswer                the model gives no number for it
    ├── BundleError                 a model on disk that can't be used
    │   ├── BundleNotFound          no such folder, or no model of that name
    │   ├── BundleCorrupt           a file is missing, altered, or not what it says
    │   ├── BundleIncompatible      sound, but of another format version, kind or shape
    │   ├── BundleTooLarge          it alone takes more memory than the memory budget allows
    │   ├── BundleBusy              no memory is free for it yet, or it is still being loaded; the next try may succeed
    │   └── WeightsError            weights to start from: not safe to read, not whole, or of another network
    ├── LandmarkIndexError          an index of landmarks that can't be used
    │   ├── IndexNotFound           no such file
    │   ├── IndexCorrupt            damaged, or something else
    │   └── IndexIncompatible       sound, but of another version, or made by another embedding
    ├── TaxonomyError               a taxonomy or translation file that contradicts itself or the labels
    ├── LedgerError                 the record of a job can't be read, written or recovered
    ├── OutputError                 a result can't be written: disk full, read-only, not a folder
    ├── FetchError                  the internet did not give what was asked
    │   ├── FetchRefused            a URL, an address or a redirect that is not allowed; nothing was sent there
    │   ├── FetchFailed             the network or the server failed, or answered something else
    │   │   └── FetchLater          the server asks to come back later than this run may wait; says when
    │   ├── FetchTooLarge           more bytes, decoded bytes or headers than the limit
    │   ├── FetchTooSlow            no connection, no bytes or no end within the deadline
    │   └── FetchAltered            the content has another SHA-256 than the one that was asked for
    ├── SearchError                 a provider of photos refuses, or answers something else than it documents
    ├── ApiError                    a server of Veduta can't be reached, refuses, or answers something else than its API
    └── TrainingError               a training that can't start or can't go on
        └── TrainingDiverged        its loss is no number any more, or has left where it began

Each message is one sentence or two: the file or value, what was expected, what to do. The command line maps
these classes to exit codes in one table, a server maps them to HTTP statuses in another.
"""

from __future__ import annotations


class VedutaError(Exception):
    """The base of every error that Veduta raises on purpose."""


class UsageError(VedutaError):
    """An argument that can't be meant."""


class MissingExtra(VedutaError):
    """An optional dependency is needed and not installed."""


class PhotoError(VedutaError):
    """One photo can't be used. ``digest`` is the content's, where the file could be read."""

    digest: str | None = None


class PhotoNotFound(PhotoError):
    """The file has vanished or never was."""


class PhotoUnreadable(PhotoError):
    """The file is there, but the system refuses to read it."""


class UnsupportedFormat(PhotoError):
    """The file is not in one of the allowed formats."""


class CorruptPhoto(PhotoError):
    """The format is allowed, but the content can't be decoded."""


class PhotoTooLarge(PhotoError):
    """The photo is over the limit of bytes or pixels."""


class PhotoTooSlow(PhotoError):
    """Decoding the photo took longer than the deadline."""


class DecoderDied(PhotoError):
    """The decoding process died on this photo, twice."""


class NoDecoder(PhotoError):
    """No decoding process starts; the installation or the machine is at fault, not the photo."""


class NoAnswer(PhotoError):
    """The model gives no number for the photo; the model is at fault, or the precision."""


class BundleError(VedutaError):
    """A model on disk that can't be used."""


class BundleNotFound(BundleError):
    """There is no such folder, or no model of that name."""


class BundleCorrupt(BundleError):
    """A file of the bundle is missing, altered, or not what it says."""


class BundleIncompatible(BundleError):
    """The bundle is sound, but of a format version, kind or shape that this version can't use."""


class BundleTooLarge(BundleError):
    """The bundle alone takes more memory than the memory budget allows."""


class BundleBusy(BundleError):
    """No memory is free for the bundle yet, or it is still being loaded; the same request may succeed later."""


class WeightsError(BundleError):
    """Weights to start from can't be used: not safe to read, not whole, or of another network."""


class LandmarkIndexError(VedutaError):
    """An index of landmarks that can't be used."""


class IndexNotFound(LandmarkIndexError):
    """There is no such file."""


class IndexCorrupt(LandmarkIndexError):
    """The file is damaged, or is something else than an index of landmarks."""


class IndexIncompatible(LandmarkIndexError):
    """The index is sound, but of another format version, or its vectors are those of another embedding."""


class TaxonomyError(VedutaError):
    """A taxonomy or translation file contradicts itself or the labels."""


class LedgerError(VedutaError):
    """The record of a job can't be read, written or recovered."""


class OutputError(VedutaError):
    """A result can't be written."""


class FetchError(VedutaError):
    """The internet did not give what was asked. ``passing`` is True where the same request may succeed later."""

    passing: bool = False


class FetchRefused(FetchError):
    """The URL, an address behind it or a redirect is not allowed; nothing was sent there."""


class FetchFailed(FetchError):
    """The network or the server failed. ``status`` is the HTTP status, where there was an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class FetchLater(FetchFailed):
    """The server asks to come back later than this run may wait. ``seconds`` is how long from now."""

    def __init__(self, message: str, status: int | None = None, seconds: float = 0.0) -> None:
        super().__init__(message, status)
        self.seconds = seconds


class FetchTooLarge(FetchError):
    """More bytes, decoded bytes or headers than the limit."""


class FetchTooSlow(FetchError):
    """No connection, no bytes or no end within the deadline."""


class FetchAltered(FetchError):
    """The content has another SHA-256 than the one that was asked for."""


class SearchError(VedutaError):
    """A provider of photos refuses, or answers something else than it documents."""


class ApiError(VedutaError):
    """A server of Veduta can't be reached, refuses, or answers something else than its API.

    ``status`` is the HTTP status, None where no answer came. ``code`` is the API's own word for the problem, stable for
    programs; None where what answered did not speak the API. ``choices`` are what could have been asked for instead,
    ``id`` is the request's, as in the server's log, and ``retry_after`` how many seconds to wait, where it says so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        choices: tuple[str, ...] = (),
        id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.choices = status, code, choices
        self.id, self.retry_after = id, retry_after


class TrainingError(VedutaError):
    """A training can't start or can't go on."""


class TrainingDiverged(TrainingError):
    """The loss of a training is no number any more, or has grown far beyond where it began."""
