"""``GET /v1/samples``: pictures to try the page and the API on, from packages that ship some."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import FileResponse, Response

from veduta.images.decode import Thumbnail, decode
from veduta.images.samples import SamplePicture, installed
from veduta.server.predictions import problems
from veduta.server.problems import ProblemError
from veduta.server.schema import SampleOut, SamplesOut

router = APIRouter()

Id = Annotated[str, Path(max_length=64)]

#: Sharp on a tile 160 pixels wide on a dense screen.
_THUMBNAIL_SIDE = 320
_A_DAY = {"cache-control": "public, max-age=86400"}
_PICTURE = {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The picture"}


@router.get("/v1/samples", summary="Which sample pictures are there?")
def list_samples() -> SamplesOut:
    """The sample pictures that are installed, and whose they are."""
    return SamplesOut(
        samples=[
            SampleOut(
                id=sample.id,
                shows=sample.shows,
                credit=sample.credit,
                scene=sample.scene,
                image=f"/v1/samples/{sample.id}/image",
                thumbnail=f"/v1/samples/{sample.id}/thumbnail",
            )
            for sample in installed()
        ]
    )


@router.get(
    "/v1/samples/{id}/image",
    summary="A sample picture",
    response_class=Response,
    responses={200: _PICTURE, **problems(404, 422)},
)
def show_sample(id: Id) -> FileResponse:
    """The picture as its package ships it."""
    return FileResponse(_find(id).path, headers=_A_DAY)


@router.get(
    "/v1/samples/{id}/thumbnail",
    summary="A sample picture, small",
    response_class=Response,
    responses={200: _PICTURE, **problems(404, 422)},
)
def show_thumbnail(id: Id) -> Response:
    """A JPEG that fits into 320 by 320 pixels."""
    return Response(_thumbnail(_find(id)), media_type="image/jpeg", headers=_A_DAY)


def _find(id: str) -> SamplePicture:
    samples = installed()
    for sample in samples:
        if sample.id == id:
            return sample
    choices = [sample.id for sample in samples]
    there = f"there are {', '.join(choices)}" if choices else "none are installed here"
    raise ProblemError(404, "unknown_sample", f"There is no sample {id!r:.100}; {there}.", choices=choices)


@cache
def _thumbnail(sample: SamplePicture) -> bytes:
    encoded = decode(sample.path.read_bytes(), [Thumbnail(_THUMBNAIL_SIDE)], name=sample.id).inputs[0]
    assert isinstance(encoded, bytes)
    return encoded
