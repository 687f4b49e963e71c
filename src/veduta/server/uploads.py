"""The form of a request: one photo, or several, read under limits of bytes and time before anything is parsed.

Small files stay in memory, larger ones in a temporary file without a name, which is gone when the request is; nothing
that was uploaded is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from veduta.images.limits import printable
from veduta.server.places import Places
from veduta.server.problems import ProblemError
from veduta.server.settings import Settings

#: Addresses and ids are short; a longer field is none.
MAX_FIELD_BYTES = 8192
MAX_FIELDS = 8
#: So much of each file of a batch stays in memory; of a single photo it is a megabyte.
_SPOOLED_OF_MANY = 64 * 2**10
#: Headers and boundaries of the form's parts, beside the photos themselves.
_FORM_OVERHEAD = 64 * 2**10
#: The longest part of a file's name that is shown in sentences and answers.
_MOST_OF_NAME = 200

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """Where one photo comes from: exactly one of ``file`` (while its form is open), ``url`` and ``sample`` (an id)."""

    name: str | None = None
    file: UploadFile | None = field(default=None, repr=False)
    url: str | None = None
    sample: str | None = None


@asynccontextmanager
async def photo_of(request: Request, settings: Settings, places: Places) -> AsyncIterator[PhotoSource]:
    """The one photo of a request. Raises ProblemError where there is none, several, or one that is too much."""
    form_of = _form(request, settings.max_upload_bytes, settings.upload_seconds, files=1, places=places)
    async with form_of as form:
        _check_fields(form, {"file", "url", "sample"})
        given = [(name, value) for name, value in form.multi_items() if not _is_blank(value)]
        if not given:
            raise ProblemError(400, "photo_missing", "There is no photo; send one as file, or its url, or a sample.")
        if len(given) > 1:
            raise _ambiguous()
        yield _source(*given[0], settings)


@asynccontextmanager
async def photos_of(
    request: Request, settings: Settings, places: Places
) -> AsyncIterator[list[PhotoSource | ProblemError]]:
    """The photos of a batch, in order; one that can't be used is its own problem, and the others stand.

    Their bytes stay in the form, mostly on the disk, until each is read in its turn.
    """
    most = settings.max_batch_files
    form_of = _form(request, settings.max_batch_bytes, settings.upload_seconds * 4, files=most, places=places)
    async with form_of as form:
        _check_fields(form, {"file", "files", "url", "sample"})
        given = [(name, value) for name, value in form.multi_items() if not _is_blank(value)]
        if not given:
            raise ProblemError(400, "photo_missing", "There is no photo; send each as a field file, url or sample.")
        if len(given) > most:
            raise _too_many(most)
        found: list[PhotoSource | ProblemError] = []
        for name, value in given:
            try:
                found.append(_source(name, value, settings))
            except ProblemError as problem:
                found.append(problem)
        yield found


def shown_name(name: str | None) -> str | None:
    """A file's name as it is told: its last part, and no more of it than anybody reads."""
    if not name:
        return None
    last = printable(name.replace("\\", "/").rsplit("/", 1)[-1])
    return last if len(last) <= _MOST_OF_NAME else last[: _MOST_OF_NAME - 1] + "…"


def _is_blank(value: UploadFile | str) -> bool:
    # A browser sends a file field that nobody filled in as an empty file without a name.
    return not value.strip() if isinstance(value, str) else not value.filename and not value.size


def _check_fields(form: FormData, known: set[str]) -> None:
    unknown = sorted(set(form) - known)
    if unknown:
        raise ProblemError(
            400,
            "invalid_request",
            f"The form has a field {unknown[0]!r:.100}, which means nothing here; its fields are "
            f"{', '.join(sorted(known))}, and options go into the query.",
        )


def _source(field_name: str, value: UploadFile | str, settings: Settings) -> PhotoSource:
    if isinstance(value, str):
        text = value.strip()
        match field_name:
            case "url":
                return PhotoSource(url=text)
            case "sample":
                return PhotoSource(sample=text)
            case _:
                raise ProblemError(
                    400, "photo_missing", "The field file is text, no file; send the photo with a file name."
                )
    if field_name in ("url", "sample"):
        raise ProblemError(400, "invalid_request", f"The field {field_name} is a file; send it as text.")
    name = shown_name(value.filename)
    size = value.size or 0
    if size == 0:
        raise ProblemError(400, "photo_empty", f"{name or 'The file'} is empty; choose another file.")
    if size > settings.max_upload_bytes:
        raise _too_large(settings.max_upload_bytes, name or "The photo")
    return PhotoSource(name=name, file=value)


@asynccontextmanager
async def _form(request: Request, most: int, seconds: float, files: int, places: Places) -> AsyncIterator[FormData]:
    kind, options = parse_options_header(request.headers.get("content-type"))
    told = kind.decode("latin-1").lower()
    if told not in FORMS:
        raise ProblemError(
            415,
            "unsupported_media_type",
            f"The body must be a form ({' or '.join(FORMS)}) and is {printable(told)[:100] or 'of no type'}; "
            "send the photo in its field file.",
        )
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        # The parser would look up any name that a stranger gives, and some decode to what no JSON can hold.
        raise ProblemError(400, "form_broken", "The form is not in UTF-8; send it as browsers and curl do.")
    with places.upload():
        try:
            async with asyncio.timeout(seconds):
                form = await _parsed(request, told, most, files)
        except (TimeoutError, MultiPartException, OSError, ValueError, LookupError) as error:
            raise _problem_of(error, seconds, files) from error
    try:
        yield form
    finally:
        await form.close()


def _problem_of(error: Exception, seconds: float, files: int) -> ProblemError:
    """Why a form could not be read, as its sender will be told."""
    match error:
        case TimeoutError():
            return ProblemError(
                408, "upload_too_slow", f"The upload took longer than {seconds:g} seconds; send a smaller photo."
            )
        case OSError():
            # Larger files wait on the disk while they come in.
            return ProblemError(
                503, "storage_full", "The server has no room for the upload; ask again in a moment.", retry_after=10
            )
        case MultiPartException() if error.message.startswith("Too many"):
            return _too_many(files) if files > 1 else _ambiguous()
        case MultiPartException():
            reason = f" ({error.message.rstrip('.')})"
        case _:
            reason = ""
    return ProblemError(400, "form_broken", f"The form can't be read{reason}; send it as browsers and curl do.")


async def _parsed(request: Request, kind: str, most: int, files: int) -> FormData:
    if kind != FORMS[0]:
        return await FormParser(request.headers, _limited(request, MAX_FIELDS * MAX_FIELD_BYTES)).parse()
    parser = MultiPartParser(
        request.headers,
        _limited(request, most),
        max_files=files,
        max_fields=max(MAX_FIELDS, files),
        max_part_size=MAX_FIELD_BYTES,
    )
    if files > 1:
        # Many small photos wait together until each has its turn.
        parser.spool_max_size = _SPOOLED_OF_MANY
    return await parser.parse()


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body of a request. Raises ProblemError where it passes its limit of bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most + _FORM_OVERHEAD:
        raise _too_large(most, "The upload")
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most + _FORM_OVERHEAD:
            raise _too_large(most, "The upload")
        yield chunk


def _ambiguous() -> ProblemError:
    return ProblemError(
        400, "photo_ambiguous", "There is more than one photo; send one, or several to /v1/predictions/batch."
    )


def _too_many(most: int) -> ProblemError:
    return ProblemError(413, "photo_too_large", f"A batch has at most {most} photos; send the rest in another.")


def _too_large(most: int, what: str) -> ProblemError:
    return ProblemError(413, "photo_too_large", f"{what} is over the limit of {most / 2**20:g} MB; send a smaller one.")
