"""Models are loaded when they are first used, leave within a budget, and are always those on disk."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from veduta.errors import BundleBusy, BundleCorrupt, BundleNotFound, BundleTooLarge
from veduta.models import store
from veduta.models.bundle import Head, write_bundle
from veduta.recognition import tagger_cache
from veduta.recognition.tagger import Tagger, load
from veduta.recognition.tagger_cache import TaggerCache
from veduta.records import Label

from .conftest import SCENES, SMALL, colour_graph

SECONDS = 20.0
RED = Image.new("RGB", (16, 16), (250, 20, 30))
Add = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Writes a model into a store that has no other, in place of one that is there; returns its folder."""
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "BUNDLED", tmp_path / "bundled")
    graph = colour_graph()

    def write(name: str, first: str = "kitchen") -> Path:
        labels = (Label(first, first), *SCENES[1:])
        folder = store.home() / name
        head = Head("scene", "single_label", labels, temperature=2.0)
        write_bundle(
            folder,
            name=name,
            kind="classifier",
            graph=graph,
            preprocessing=SMALL,
            heads=[head],
            card="-",
            replace=True,
        )
        return folder

    return write


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Loading:
    """Loads as ``veduta.load`` does and keeps count; names in ``held`` wait for ``go``."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.held: set[str] = set()
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, folder: Path) -> Tagger:
        self.names.append(folder.name)
        if folder.name in self.held:
            self.begun.set()
            assert self.go.wait(SECONDS)
        return load(folder, threads=1)


def make_cache(budget: int, loading: Callable[[Path], Tagger] | None = None, each: int = 100) -> TaggerCache:
    """A cache in which every model takes ``each`` bytes."""
    return TaggerCache(budget, loading or Loading(), guess=lambda _: each, need=lambda _: each)


def use(cache: TaggerCache, name: str) -> str:
    """The first label of a red photo."""
    with cache.use(name, SECONDS) as tagger:
        return tagger.predict(RED).scores[0].label.id


def names(cache: TaggerCache) -> list[str]:
    return [model.name for model in cache.loaded()]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        threading.Event().wait(0.001)


def test_the_first_use_loads_and_the_least_recently_used_leaves(add: Add) -> None:
    for name in "abc":
        add(name)
    loading = Loading()
    cache = make_cache(250, loading)
    assert not cache.is_loaded("a")
    assert [use(cache, name) for name in "aab"] == ["kitchen"] * 3
    assert cache.is_loaded("a")
    use(cache, "a")
    use(cache, "c")
    assert names(cache) == ["a", "c"]
    assert not cache.is_loaded("b")
    use(cache, "b")
    assert loading.names == ["a", "b", "c", "b"]
    assert [(model.bytes, model.leases) for model in cache.loaded()] == [(100, 0), (100, 0)]


def test_a_model_that_left_has_given_its_memory_back_even_where_somebody_kept_it(add: Add) -> None:
    add("a")
    cache = make_cache(250)
    with cache.use("a") as kept:
        kept.predict(RED)
        assert kept.session._engine is not None
        cache.evict_all()
        assert kept.session._engine is not None, "it is in use"
        kept.predict(RED)
    assert kept.session._engine is None
    assert cache.loaded() == []
    assert use(cache, "a") == "kitchen"


def test_a_model_at_work_stays_and_others_wait_for_it(add: Add, threads: ThreadPoolExecutor) -> None:
    add("a")
    add("b")
    cache = make_cache(150)
    with cache.use("a") as tagger:
        with pytest.raises(BundleBusy, match="b: the models at work leave no memory"), cache.use("b", timeout=0.0):
            pass
        waits = threads.submit(use, cache, "b")
        until(lambda: len(cache._models._queue) == 1)
        assert tagger.predict(RED).scores
        assert not waits.done()
    assert waits.result(SECONDS) == "kitchen"
    assert names(cache) == ["b"]


def test_who_asks_at_once_shares_one_loading(add: Add, threads: ThreadPoolExecutor) -> None:
    add("a")
    loading = Loading()
    loading.held.add("a")
    cache = make_cache(150, loading)
    asked = [threads.submit(use, cache, "a") for _ in range(10)]
    until(lambda: [model.leases for model in cache.loaded()] == [10])
    assert not cache.is_loaded("a")
    with pytest.raises(BundleBusy, match="still being loaded"), cache.use("a", timeout=0.0):
        pass
    loading.go.set()
    assert [each.result(SECONDS) for each in asked] == ["kitchen"] * 10
    assert loading.names == ["a"]
    assert [model.leases for model in cache.loaded()] == [0]


def test_a_loading_stalls_no_model_that_is_loaded(add: Add, threads: ThreadPoolExecutor) -> None:
    for name in ("a", "b", "slow"):
        add(name)
    loading = Loading()
    loading.held.add("slow")
    cache = make_cache(400, loading)
    use(cache, "a")
    slow = threads.submit(use, cache, "slow")
    assert loading.begun.wait(SECONDS)
    assert use(cache, "a") == "kitchen"
    assert use(cache, "b") == "kitchen", "nor another that has to be loaded"
    assert [cache.is_loaded(name) for name in ("a", "b", "slow")] == [True, True, False]
    assert not slow.done()
    loading.go.set()
    assert slow.result(SECONDS) == "kitchen"


def test_a_new_model_is_found_and_a_removed_one_is_not(add: Add) -> None:
    add("a")
    cache = make_cache(250)
    with pytest.raises(BundleNotFound, match="'bee': no model has this name; there are a"), cache.use("bee"):
        pass
    folder = add("bee")
    assert use(cache, "bee") == "kitchen"
    shutil.rmtree(folder)
    assert not cache.is_loaded("bee")
    with pytest.raises(BundleNotFound, match="there are a"), cache.use("bee"):
        pass
    assert names(cache) == []


@pytest.mark.parametrize("name", ["./a", "../models/a", "", "a/", "A", "\x00", "a" * 5000])
def test_only_a_name_finds_a_model(add: Add, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add("a")
    monkeypatch.chdir(folder.parent)
    for asked in (name, str(folder)):
        with pytest.raises(BundleNotFound) as caught, make_cache(250).use(asked):
            pass
        assert len(str(caught.value)) < 250


def test_a_replaced_model_is_loaded_anew_and_the_old_one_ends_its_work(add: Add) -> None:
    add("a")
    cache = make_cache(250)
    with cache.use("a") as old:
        assert old.predict(RED).scores[0].label.id == "kitchen"
        add("a", first="bar")
        assert not cache.is_loaded("a")
        assert use(cache, "a") == "bar"
        assert [(model.name, model.leases) for model in cache.loaded()] == [("a", 1), ("a", 0)]
        assert old.predict(RED).scores[0].label.id == "kitchen"
    assert [(model.name, model.leases) for model in cache.loaded()] == [("a", 0)]
    assert use(cache, "a") == "bar"


def test_a_model_that_is_replaced_while_it_is_loaded_is_loaded_again(add: Add) -> None:
    add("a")
    replacements = ["bar", "pub"]

    def loading(folder: Path) -> Tagger:
        tagger = load(folder, threads=1)
        if replacements:
            add("a", first=replacements.pop(0))
        return tagger

    assert use(make_cache(150, loading), "a") == "pub"


def test_files_that_never_settle_are_told(add: Add) -> None:
    add("a")

    def loading(folder: Path) -> Tagger:
        add("a")
        return load(folder, threads=1)

    cache = make_cache(150, loading)
    with pytest.raises(BundleCorrupt, match="its files change while it is loaded"), cache.use("a"):
        pass
    assert cache.loaded() == []


def test_a_broken_model_is_read_once_until_its_files_change(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add("a")
    (folder / "model.onnx").write_bytes(colour_graph() + b"\x00")
    loading = Loading()
    cache = make_cache(150, loading)
    errors = []
    for _ in range(5):
        with pytest.raises(BundleCorrupt, match="has been altered") as caught, cache.use("a"):
            pass
        errors.append(caught.value)
    assert len(set(map(str, errors))) == 1
    assert len(set(map(id, errors))) == 5, "each caller has a traceback of his own"
    assert loading.names == ["a"]
    assert cache.loaded() == []
    with monkeypatch.context() as later:
        later.setattr(tagger_cache, "_FAILURE_SECONDS", 0.0)
        with pytest.raises(BundleCorrupt), cache.use("a"):
            pass
    assert loading.names == ["a", "a"], "a minute later it is tried again"
    (folder / "model.onnx").write_bytes(colour_graph())
    assert use(cache, "a") == "kitchen"


def test_a_broken_model_does_not_make_others_leave_twice(add: Add) -> None:
    folder = add("broken")
    add("a")
    (folder / "model.onnx").write_bytes(b"nothing")
    cache = TaggerCache(10**9)
    use(cache, "a")
    for _ in range(2):
        with pytest.raises(BundleCorrupt, match="no whole ONNX file"), cache.use("broken"):
            pass
    assert names(cache) == ["a"]


def test_what_is_no_fault_of_the_model_is_not_remembered(add: Add) -> None:
    add("a")
    failures = [OSError("too many open files")]

    def loading(folder: Path) -> Tagger:
        if failures:
            raise failures.pop()
        return load(folder, threads=1)

    cache = make_cache(150, loading)
    with pytest.raises(OSError, match="too many"), cache.use("a"):
        pass
    assert use(cache, "a") == "kitchen"


def test_a_model_over_the_whole_budget_is_refused_before_it_is_loaded(add: Add) -> None:
    add("a")
    loading = Loading()
    cache = TaggerCache(2_000_000, loading, guess=lambda _: 3_000_000)
    with pytest.raises(BundleTooLarge, match=r"a: takes some 3 MB .* memory budget is 2 MB; raise the memory budget"):
        use(cache, "a")
    assert loading.names == []


def test_a_model_that_needs_more_than_was_guessed_gets_it(add: Add) -> None:
    add("a")
    add("b")
    loading = Loading()
    cache = TaggerCache(180, loading, guess=lambda _: 60, need=lambda _: 100)
    use(cache, "a")
    assert loading.names == ["a"], "there was room for more"
    use(cache, "b")
    assert loading.names == ["a", "b", "b"], "there was none, so a left first"
    assert [(model.name, model.bytes) for model in cache.loaded()] == [("b", 100)]
    use(cache, "a")
    assert loading.names == ["a", "b", "b", "a"], "what it needs is known by now"
    cache = TaggerCache(80, loading, guess=lambda _: 60, need=lambda _: 100)
    with pytest.raises(BundleTooLarge):
        use(cache, "a")
    assert cache.loaded() == []


def test_a_model_that_needs_less_than_was_guessed_leaves_the_rest_to_others(add: Add) -> None:
    add("a")
    add("b")
    cache = TaggerCache(200, Loading(), guess=lambda _: 150, need=lambda _: 50)
    use(cache, "a")
    use(cache, "b")
    assert [(model.name, model.bytes) for model in cache.loaded()] == [("a", 50), ("b", 50)]


def test_further_networks_of_a_model_count_as_far_as_there_is_room(add: Add) -> None:
    add("a")
    cache = TaggerCache(10**9, Loading())
    use(cache, "a")
    (before,) = cache.loaded()
    with cache.use("a") as tagger:
        for side in (24, 32):
            tagger.session.prepare(side, side, ["logits"])
        assert len(tagger.session._engine._networks.held()) == 3  # type: ignore[union-attr]
    (after,) = cache.loaded()
    assert after.bytes > before.bytes + 10_000_000

    tight = TaggerCache(before.bytes, Loading(), guess=lambda _: before.bytes)
    with tight.use("a") as tagger:
        for side in (24, 32):
            tagger.session.prepare(side, side, ["logits"])
        assert len(tagger.session._engine._networks.held()) == 1  # type: ignore[union-attr]
    assert [model.bytes for model in tight.loaded()] == [before.bytes]


def test_a_model_needs_memory_for_its_heat_maps_too() -> None:
    tagger = load("places100", threads=1)
    (height, width), maps = tagger.preprocessing.sizes[0], tagger.head.class_maps
    assert maps is not None
    parts = [tagger.session.needed_bytes(height, width, ["logits"]), tagger.session.needed_bytes(192, 192, [maps])]
    assert tagger.needed_bytes() >= max(parts)
