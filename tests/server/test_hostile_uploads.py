"""Photos that are wrong by accident or on purpose get an answer or a sentence, and every worker is there afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from ..images.conftest import scenery
from .mutations import mutations, right_photos
from .running import Running, until


def send_all(server: Running, photos: Iterable[tuple[str, bytes]]) -> Counter[int]:
    """Each by upload, four at a time; the statuses. A photo that is at fault gets 4xx with a sentence, never 5xx."""

    def send(photo: tuple[str, bytes]) -> int:
        name, data = photo
        response: httpx2.Response = client.post("/v1/predictions", files={"file": (name, data)})
        assert response.status_code == 200 or 400 <= response.status_code < 500, (name, response.text)
        if response.status_code != 200:
            told = response.json()
            assert told["detail"].endswith("."), told
            assert told["status"] == response.status_code
        return response.status_code

    with server.client() as client, ThreadPoolExecutor(4) as threads:
        return Counter(threads.map(send, photos))


def is_whole(server: Running, jpeg: bytes) -> bool:
    """Whether all decoding processes live and the next photo is answered as ever."""
    until(lambda: len(server.house.decoders.processes) == server.settings.decoding_processes)
    with server.client() as client:
        return client.post("/v1/predictions", files={"file": jpeg}).status_code == 200


def test_all_malformed_photos(server: Running, shared_data: Path, jpeg: bytes) -> None:
    files = sorted(path for path in (shared_data / "malformed").rglob("*") if path.is_file())
    statuses = send_all(server, ((path.name, path.read_bytes()) for path in files))
    print(f"{len(files)} malformed files: {dict(statuses)}")
    assert statuses.total() == len(files)
    assert is_whole(server, jpeg)


def test_two_thousand_mutations(server: Running, jpeg: bytes) -> None:
    photos = right_photos(scenery(160, 120))
    assert set(send_all(server, photos.items())) == {200}
    statuses = send_all(server, mutations(photos, 2000))
    print(f"2,000 mutations: {dict(statuses)}")
    assert statuses.total() == 2000
    # Were all refused, the mutations would be no test of what lies behind the door.
    assert statuses[200] > 100
    assert statuses.total() - statuses[200] > 500
    assert is_whole(server, jpeg)
    assert server.house.places.taken == 0
