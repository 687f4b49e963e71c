"""The form of a request: one photo, or several, read under limits of bytes and time before anything is parsed.

Small files stay in memory, larger ones in a temporary file without a name, which is gone when the request is; nothing
that was uploaded is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from veduta.server.problems import ProblemError
from veduta.server.settings import Settings

#: Addresses and ids are short; a longer field is none.
MAX_FIELD_BYTES = 8192
MAX_FIELDS = 8
#: One more than may be, so that two files are told apart from a form that can't be read.
_FILES_OF_ONE = 2
#: Headers and boundaries of the form's parts, beside the photos themselves.
_FORM_OVERHEAD = 64 * 2**10
#: The longest part of a file's name that is shown in sentences and answers.
_MOST_OF_NAME = 200

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """Where one photo comes from: exactly one of ``data`` (the file's content), ``url`` and ``sample`` (an id)."""

    name: str | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    sample: str | None = None


async def read_photo(request: Request, settings: Settings) -> PhotoSource:
    """The one photo of a request. Raises ProblemError where there is none, several, or one that is too much."""
    async with _form(request, settings.max_upload_bytes, settings.upload_seconds, files=_FILES_OF_ONE) as form:
        _check_fields(form, {"file", "url", "sample"})
        given = [(name, value) for name, value in form.multi_items() if not _is_blank(value)]
        if not given:
            raise ProblemError(400, "photo_missing", "There is no photo; send one as file, or its url, or a sample.")
        if len(given) > 1:
            raise ProblemError(
                400,
                "photo_ambiguous",
                "There is more than one photo; send one, or several to /v1/predictions/batch.",
            )
        return await _source(*given[0], settings)


async def read_batch(request: Request, settings: Settings) -> list[PhotoSource | ProblemError]:
    """The photos of a batch, in order; one that can't be used is its own problem, and the others stand."""
    most = settings.max_batch_files
    async with _form(request, settings.max_batch_bytes, settings.upload_seconds * 4, files=most) as form:
        _check_fields(form, {"file", "files", "url", "sample"})
        given = [(name, value) for name, value in form.multi_items() if not _is_blank(value)]
        if not given:
            raise ProblemError(400, "photo_missing", "There is no photo; send each as a field file, url or sample.")
        if len(given) > most:
            raise _too_many(most)
        found: list[PhotoSource | ProblemError] = []
        for name, value in given:
            try:
                found.append(await _source(name, value, settings))
            except ProblemError as problem:
                found.append(problem)
        return found


def shown_name(name: str | None) -> str | None:
    """A file's name as it is told: its last part, and no more of it than anybody reads."""
    if not name:
        return None
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
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


async def _source(field_name: str, value: UploadFile | str, settings: Settings) -> PhotoSource:
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
    return PhotoSource(name=name, data=await value.read())


@asynccontextmanager
async def _form(request: Request, most: int, seconds: float, files: int) -> AsyncIterator[FormData]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORMS:
        raise ProblemError(
            415,
            "unsupported_media_type",
            f"The body must be a form ({' or '.join(FORMS)}) and is {kind[:100] or 'of no type'}; "
            "send the photo in its field file.",
        )
    try:
        async with asyncio.timeout(seconds):
            form = await _parsed(request, kind, most, files)
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
        case MultiPartException() if error.message.startswith("Too many files") and files > _FILES_OF_ONE:
            return _too_many(files)
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


def _too_many(most: int) -> ProblemError:
    return ProblemError(413, "photo_too_large", f"A batch has at most {most} photos; send the rest in another.")


def _too_large(most: int, what: str) -> ProblemError:
    return ProblemError(413, "photo_too_large", f"{what} is over the limit of {most / 2**20:g} MB; send a smaller one.")
