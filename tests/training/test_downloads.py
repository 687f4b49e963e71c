"""A file of weights is the same every time: recorded at its first download, and enforced after it."""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from veduta.errors import FetchAltered, FetchError, OutputError, UsageError
from veduta.images.fetch import Fetcher
from veduta.images.part_file import PartFile
from veduta.training.catalogue import published
from veduta.training.downloads import cache, download, records

from .weights_server import Server

pytestmark = pytest.mark.usefixtures("store")

RESNET = published("places365-resnet18")


def test_a_download_is_recorded_and_then_taken_from_the_cache(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    seen: list[tuple[int, int | None]] = []
    first = download(
        RESNET, mirror=server.url, fetcher=fetcher, on_bytes=lambda done, total: seen.append((done, total))
    )
    assert first.path == cache() / RESNET.file_name
    assert first.sha256 == hashlib.sha256(b"weights" * 1000).hexdigest()
    assert seen[-1] == (7000, 7000)
    assert json.loads(records().read_text()) == {RESNET.address: first.sha256}
    assert download(RESNET, mirror=server.url, fetcher=fetcher) == first
    assert len(server.asked) == 1


def test_another_content_is_refused_after_the_first_download(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    first = download(RESNET, mirror=server.url, fetcher=fetcher)
    first.path.unlink()
    server.files[RESNET.file_name] = b"changed" * 1000
    with pytest.raises(FetchAltered, match=r"recorded at its first download.*remove its line from .*downloads\.json"):
        download(RESNET, mirror=server.url, fetcher=fetcher)
    assert not first.path.exists()
    records().write_text("{}")  # as the sentence says
    assert download(RESNET, mirror=server.url, fetcher=fetcher).path.read_bytes() == b"changed" * 1000


def test_a_download_goes_on_where_it_was_cut(server: Server, fetcher: Fetcher) -> None:
    content = np.random.default_rng(0).bytes(300_000)
    server.files[RESNET.file_name] = content
    server.cut_after = [100_000]
    found = download(RESNET, mirror=server.url, fetcher=fetcher)
    assert found.path.read_bytes() == content
    assert len(server.asked) == 2
    assert server.asked[1][1] is not None


def test_what_breaks_off_for_good_leaves_no_file_and_no_record(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    server.cut_after = [0] * 20
    with pytest.raises(FetchError):
        download(RESNET, mirror=server.url, fetcher=fetcher)
    assert not (cache() / RESNET.file_name).exists()
    assert not records().exists()


def test_the_users_own_sha256_holds(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights"
    right, wrong = hashlib.sha256(b"weights").hexdigest(), hashlib.sha256(b"others").hexdigest()
    with pytest.raises(FetchAltered, match="nothing was kept") as altered:
        download(RESNET, sha256=wrong, mirror=server.url, fetcher=fetcher)
    assert "downloads.json" not in str(altered.value)
    assert not records().exists()
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        download(RESNET, sha256="abc", mirror=server.url, fetcher=fetcher)
    assert download(RESNET, sha256=right.upper(), mirror=server.url, fetcher=fetcher).sha256 == right
    with pytest.raises(UsageError, match=r"first download had the SHA-256 .*downloads\.json"):
        download(RESNET, sha256=wrong, mirror=server.url, fetcher=fetcher)


def test_a_file_whose_name_tells_another_hash_is_not_kept(server: Server, fetcher: Fetcher) -> None:
    entry = published("imagenet-squeezenet1_1")
    server.files[entry.file_name] = b"not those"
    with pytest.raises(FetchAltered, match="and not with b8a52dc0"):
        download(entry, mirror=server.url, fetcher=fetcher)
    assert not (cache() / entry.file_name).exists()
    assert not records().exists()


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 5}', '{"a": "zz"}', "[" * 100_000])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    records().write_text(content)
    with pytest.raises(UsageError, match=r"downloads\.json: is no list"):
        download(RESNET)


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_downloads_at_the_same_moment_are_all_recorded(server: Server, fetcher: Fetcher) -> None:
    entries = [replace(RESNET, address=f"https://weights.example/{number}.pth") for number in range(32)]
    server.files = {entry.file_name: entry.file_name.encode() for entry in entries}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda entry: download(entry, mirror=server.url, fetcher=fetcher), entries))
    expected = {entry.address: each.sha256 for entry, each in zip(entries, found, strict=True)}
    assert json.loads(records().read_text()) == expected


def test_what_another_recorded_meanwhile_holds(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights"
    other = hashlib.sha256(b"others").hexdigest()

    def recorded_by_another(_done: int, _total: int | None) -> None:
        records().parent.mkdir(exist_ok=True)
        records().write_text(json.dumps({RESNET.address: other}))

    with pytest.raises(FetchAltered, match=f"has the SHA-256 .*expected was {other}"):
        download(RESNET, mirror=server.url, fetcher=fetcher, on_bytes=recorded_by_another)
    assert json.loads(records().read_text()) == {RESNET.address: other}
    assert not (cache() / RESNET.file_name).exists()


def test_a_record_that_can_not_be_written_leaves_the_one_before_and_nothing_beside(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[RESNET.file_name] = b"weights"
    other = {"https://weights.example/other.pth": "0" * 64}
    records().parent.mkdir()
    records().write_text(json.dumps(other))
    rename = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target) == records():
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"downloads\.json: can't be written \(No space left"):
        download(RESNET, mirror=server.url, fetcher=fetcher)
    assert json.loads(records().read_text()) == other
    assert {path.name for path in records().parent.iterdir()} <= {"downloads.json", "downloads.json.lock"}


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_a_whole_file_is_there_for_everybody_while_it_is_asked_for_elsewhere(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights"
    first = download(RESNET, mirror=server.url, fetcher=fetcher)
    with PartFile(first.path, server.url), ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: download(RESNET, mirror=server.url, fetcher=fetcher), range(8))) == {first}
    assert len(server.asked) == 1


def test_the_place_without_an_address_is_told(server: Server, fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match="404"):
        download(RESNET, mirror=server.url, fetcher=fetcher)
