"""The client of Veduta's own API: the same photos, models and answers as on the server's page."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from veduta.client.address import checked_key, server_address
from veduta.client.answers import Answer, Health, read_answer
from veduta.client.messages import Question, Reply
from veduta.client.photos import Photo, Upload, shown_name, upload
from veduta.client.problems import nonsense, problem
from veduta.client.values import JsonObject, Unexpected, one_line, parse
from veduta.errors import ApiError, PhotoError, UsageError
from veduta.records import Failure

if TYPE_CHECKING:
    from types import TracebackType

    from PIL import Image

Found = TypeVar("Found")
Query = list[tuple[str, str]]

DEFAULT_URL = "http://127.0.0.1:8000"

_PREDICTIONS = "/v1/predictions"
# Half of what a server takes in one request unless its owner says otherwise.
_BATCH_PHOTOS = 16
_BATCH_BYTES = 50_000_000
_MOST_PIXELS = 16_000_000  # of a bar graph
_TOO_LARGE = 413


class Client:
    """A server of Veduta. Thread-safe; a context manager.

    ``url`` is where the server is, with the path behind which a proxy keeps it, if there is one. ``api_key`` is sent as
    ``Authorization: Bearer``, to this server alone: no redirect is followed. ``timeout`` is the most seconds that one
    try may take from its connection to the last byte of its answer (looking up a name has limits of its own).
    A server that is busy and says for how long (status 429 and 503 with Retry-After), and a connection that breaks off,
    are tried again, at most ``retries`` times and up to a second later than told; a server that asks for more than
    ``longest_wait`` seconds is not waited for. Nothing is read from the environment: no proxy, no key, and no
    certificates but those that the system trusts.

    Every method raises ApiError where there is no server, where it refuses, and where it answers something else than
    its API. Raises UsageError for an address, key or number that can't be meant.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = 90.0,
        retries: int = 3,
        longest_wait: float = 30.0,
    ) -> None:
        if not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"timeout is {timeout}, but must be a number of seconds above zero.")
        if retries < 0 or not longest_wait >= 0:
            raise UsageError(f"retries is {retries} and longest_wait {longest_wait}, but neither may be below zero.")
        self._address = server_address(url)
        key = checked_key(api_key)
        # The HTTP library takes a tenth of a second to import, so it waits for the first who asks.
        from veduta.client.transport import Transport

        self._transport = Transport(
            self._address, api_key=key, timeout=timeout, retries=retries, longest_wait=longest_wait
        )

    def predict(
        self,
        photo: Photo | None = None,
        *,
        url: str | None = None,
        sample: str | None = None,
        models: str | Sequence[str] = (),
        top_k: int = 5,
        heatmap: bool = False,
        explain: str | Sequence[str] = (),
        attributes: bool = True,
        landmarks: bool = False,
        language: str = "en",
    ) -> Answer:
        """What place a photo shows.

        The photo is exactly one of three. ``photo`` is a path, the bytes of a file, or a PIL image, which is sent
        upright and in RGB without its metadata: as PNG, or from five million pixels as JPEG of quality 95. ``url`` is a
        public address from which the server fetches it, and ``sample`` the id of one of the server's ``samples()``.

        ``models`` are names, or "all"; none is the server's default. ``top_k`` is how many labels to tell, 1 to 100.
        ``heatmap`` asks where the first label of each model comes from, ``explain`` where other labels (ids, at most
        ten) do. ``landmarks`` asks which landmark the photo shows, where the server has an index. ``language`` is en,
        de, ru, pt or zh.

        Raises PhotoError where the photo can't be read here, ApiError also where the server can't read it, UsageError
        where there is no photo, or more than one.
        """
        query = _query(models, top_k, heatmap, explain, attributes, landmarks, language)
        reply = self._ask_about(photo, url, sample, query, "application/json")
        return self._understood(reply, read_answer)

    def predict_batch(
        self,
        photos: Sequence[Photo],
        *,
        models: str | Sequence[str] = (),
        top_k: int = 5,
        heatmap: bool = False,
        explain: str | Sequence[str] = (),
        attributes: bool = True,
        landmarks: bool = False,
        language: str = "en",
    ) -> list[Answer | Failure]:
        """What place each of several photos shows, in their order; the arguments are those of ``predict``.

        A photo that can't be read, here or there, is a Failure with its path (of bytes and images ``photo 3``, counted
        from 1), the API's code or the class of the error here, and a sentence. The photos go in requests of at most 16
        and some 50 MB, one after the other, and in smaller ones where the server takes no more.
        """
        query = _query(models, top_k, heatmap, explain, attributes, landmarks, language)
        results: list[Answer | Failure | None] = [None] * len(photos)
        for batch in _batches(photos, results):
            for place, found in self._ask_batch(batch, query).items():
                results[place] = _result(shown_name(photos[place], place + 1), found)
        return [each for each in results if each is not None]

    def bars(
        self,
        photo: Photo | None = None,
        *,
        url: str | None = None,
        sample: str | None = None,
        model: str | None = None,
        top_k: int = 5,
        language: str = "en",
    ) -> Image.Image:
        """The bar graph of one model's answer, drawn by the server, whose fonts may know more letters; RGB.

        The arguments and errors are those of ``predict``.
        """
        query = _query(() if model is None else (model,), top_k, False, (), False, False, language)
        reply = self._ask_about(photo, url, sample, query, "image/png")
        try:
            return _picture(reply)
        except Unexpected as error:
            raise nonsense(reply, self._address, str(error)) from None

    def models(self) -> dict[str, Any]:
        """The models that can be asked: ``default``, ``languages`` and ``models``, as docs/api.md describes them."""
        return self._understood(self._get("/v1/models"), lambda told: _with_list(told, "models", "name"))

    def model(self, name: str) -> dict[str, Any]:
        """One model with its ``card`` (Markdown) and ``all_labels``, as docs/api.md describes it."""
        reply = self._get(f"/v1/models/{quote(name, safe='')}")
        return self._understood(reply, lambda told: _with_list(told, "all_labels", "id"))

    def samples(self) -> list[dict[str, Any]]:
        """The sample pictures that the server has: ``id``, ``shows``, ``credit``, as docs/api.md describes them."""
        reply = self._get("/v1/samples")
        found: list[dict[str, Any]] = self._understood(reply, lambda told: _with_list(told, "samples", "id"))["samples"]
        return found

    def health(self) -> Health:
        """Whether the server lives. Raises ApiError where none answers."""
        return self._health("/healthz")

    def ready(self) -> Health:
        """Whether the server can answer now, and what is missing. Raises ApiError where none answers."""
        return self._health("/readyz")

    def close(self) -> None:
        """Close the connections that were kept."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._address!r})"

    def _ask_about(self, photo: Photo | None, url: str | None, sample: str | None, query: Query, accept: str) -> Reply:
        given = {"photo": photo, "url": url, "sample": sample}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise UsageError(f"Give one of photo, url and sample; {' and '.join(named) or 'none'} was given.")
        fields = {name: str(given[name]) for name in named if name != "photo"}
        files = [] if photo is None else [upload(photo)]
        return self._ask(Question("POST", _PREDICTIONS, query, fields, files, accept=accept))

    def _ask_batch(self, batch: dict[int, Upload], query: Query) -> dict[int, Answer | ApiError]:
        """What is said about each photo, by its place; a batch that is too large for the server is asked in halves."""
        question = Question("POST", f"{_PREDICTIONS}/batch", query, files=list(batch.values()), file_field="files")
        try:
            reply = self._ask(question)
        except ApiError as error:
            if error.status != _TOO_LARGE:
                raise
            if len(batch) == 1:
                return dict.fromkeys(batch, error)
            files, half = list(batch.items()), len(batch) // 2
            return self._ask_batch(dict(files[:half]), query) | self._ask_batch(dict(files[half:]), query)
        found = self._understood(reply, lambda told: _batch_results(told, len(batch)))
        return dict(zip(batch, found, strict=True))

    def _get(self, path: str) -> Reply:
        return self._ask(Question("GET", path))

    def _ask(self, question: Question) -> Reply:
        reply = self._transport.ask(question)
        if reply.status != 200:
            raise problem(reply, self._address)
        return reply

    def _understood(self, reply: Reply, read: Callable[[JsonObject], Found]) -> Found:
        try:
            if reply.kind != "application/json":
                raise Unexpected(f"it sent {one_line(reply.kind, 60) or 'something without a type'}, not JSON")
            return read(parse(reply.body))
        except Unexpected as error:
            raise nonsense(reply, self._address, str(error)) from None

    def _health(self, path: str) -> Health:
        reply = self._transport.ask(Question("GET", path, patient=False))
        try:
            told = parse(reply.body)
            if reply.status == 200 and told.text("status") == "ok":
                return Health(True)
            if reply.status == 503:
                return Health(False, one_line(told.optional_text("detail") or "") or None)
        except Unexpected as error:
            if reply.status == 200:
                raise nonsense(reply, self._address, str(error)) from None
        raise problem(reply, self._address)


def _query(
    models: str | Sequence[str],
    top_k: int,
    heatmap: bool,
    explain: str | Sequence[str],
    attributes: bool,
    landmarks: bool,
    language: str,
) -> Query:
    """The query of a request; one name is as good as a list of one."""
    named = [models] if isinstance(models, str) else models
    explained = [explain] if isinstance(explain, str) else explain
    return [
        *(("models", name) for name in named),
        ("top_k", str(top_k)),
        ("heatmap", str(bool(heatmap)).lower()),
        *(("explain", label) for label in explained),
        ("attributes", str(bool(attributes)).lower()),
        *([("landmarks", "true")] if landmarks else []),
        ("language", language),
    ]


def _batches(photos: Sequence[Photo], results: list[Answer | Failure | None]) -> Iterator[dict[int, Upload]]:
    """Photos for one request after the other, by their places; those that can't be read become results at once."""
    batch: dict[int, Upload] = {}
    size = 0
    for place, photo in enumerate(photos):
        name = shown_name(photo, place + 1)
        try:
            file = upload(photo, name)
        except PhotoError as error:
            results[place] = Failure(name, type(error).__name__, str(error))
            continue
        if batch and (len(batch) == _BATCH_PHOTOS or size + len(file.content) > _BATCH_BYTES):
            yield batch
            batch, size = {}, 0
        batch[place] = file
        size += len(file.content)
    if batch:
        yield batch


def _batch_results(told: JsonObject, count: int) -> list[Answer | ApiError]:
    found: list[Answer | ApiError] = []
    for each in told.objects("results"):
        answer = each.optional_object("answer")
        if answer is not None:
            found.append(read_answer(answer))
        else:
            refused = each.object("problem")
            found.append(ApiError(one_line(refused.text("detail")), code=one_line(refused.text("code"), 100)))
    if len(found) != count:
        raise Unexpected(f"results has {len(found)} entries for {count} photos")
    return found


def _result(path: str, found: Answer | ApiError) -> Answer | Failure:
    return found if isinstance(found, Answer) else Failure(path, found.code or type(found).__name__, str(found))


def _with_list(told: JsonObject, key: str, text: str) -> dict[str, Any]:
    """Plain values, once it is certain that they have a list of objects that each have a text."""
    for each in told.objects(key):
        each.text(text)
    return told.values


def _picture(reply: Reply) -> Image.Image:
    """The picture that was sent, decoded: PNG and of a sensible size, or Unexpected is raised."""
    from PIL import Image

    if reply.kind != "image/png":
        raise Unexpected(f"it sent {one_line(reply.kind, 60) or 'something without a type'}, not a PNG")
    try:
        picture = Image.open(io.BytesIO(reply.body), formats=["PNG"])
        if picture.width * picture.height > _MOST_PIXELS:
            raise ValueError("larger than any bar graph")
        return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unexpected("its picture can't be decoded") from None
