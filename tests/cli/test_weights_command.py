"""`veduta models pull` and `convert`."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from veduta.cli.models import models
from veduta.errors import FetchTooLarge, MissingExtra, UsageError, WeightsError
from veduta.models.bundle import Bundle


def run(*arguments: str) -> Result:
    return CliRunner().invoke(models, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home" / "models"


def test_pull_without_a_name_lists_what_can_be_had_and_needs_no_torch() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from veduta.cli.models import models; "
        "result = CliRunner().invoke(models, ['pull'], env={'COLUMNS': '200'}); "
        "print(result.stdout); assert result.exit_code == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "places365-densenet161" in done.stdout
    assert "places2.csail.mit.edu" in done.stdout


@pytest.mark.parametrize("command", ["pull", "convert", "architectures"])
def test_help_teaches_by_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"veduta models {command} " in result.stdout


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("veduta.training.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    for arguments in (
        ["pull", "places365-resnet18"],
        ["convert", "w", "-a", "x", "--labels", "x", "--name", "x"],
        ["architectures"],
    ):
        result = run(*arguments)
        assert isinstance(result.exception, MissingExtra)
        assert 'pip install "veduta[train]"' in str(result.exception)


def test_architectures_are_listed_with_what_they_take_and_can_start_from() -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run("architectures")
    assert result.exit_code == 0
    rows = {words[0]: line for line in result.stdout.splitlines() if (words := line.strip("│ ").split())}
    assert "22.1 M" in rows["vit_small_patch14_dinov2"]
    assert "from 14 by 14" in rows["vit_small_patch14_dinov2"]
    assert "places365-…, imagenet-…, imagenet-…-v2" in rows["resnet50"]
    assert "none" in rows["small_cnn"]


def test_an_unknown_name_is_told_before_anything_is_asked() -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run("pull", "places365-resnet51")
    assert isinstance(result.exception, UsageError)
    assert "did you mean places365-resnet50" in str(result.exception)


class Proxy:
    """Answers whatever it is asked for with the beginning of a web page, and keeps the first lines of requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(4_096).decode().partition("\r\n")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


# An address that needs no resolving; nothing but the proxy is ever connected to.
PULL = ("pull", "places365-resnet18", "--from", "http://93.184.215.14/weights")


def test_a_pull_goes_through_the_proxy_that_is_named(proxy: Proxy) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run(*PULL, "--proxy", proxy.url)
    assert isinstance(result.exception, WeightsError)
    assert "is a web page" in str(result.exception)
    assert proxy.asked == ["GET http://93.184.215.14:80/weights/resnet18_places365.pth.tar HTTP/1.1"]


def test_a_file_over_the_limit_that_the_user_sets_is_not_brought(proxy: Proxy, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run(*PULL, "--proxy", proxy.url, "--max-bytes", "5")
    assert isinstance(result.exception, FetchTooLarge)
    assert "has 6 bytes, at most 5 are allowed" in str(result.exception)
    assert "--max-bytes" in str(result.exception)
    assert not any(path.is_file() and path.stat().st_size for path in (tmp_path / "cache").rglob("*"))


def test_a_proxy_that_can_not_be_meant_is_told_before_anything_is_asked() -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run(*PULL, "--proxy", "proxy.example:3128")
    assert isinstance(result.exception, UsageError)
    assert "http://host:port" in str(result.exception)


def test_a_file_of_weights_becomes_a_model_that_the_store_lists(tmp_path: Path, store: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra train is not installed")
    from torchvision.models import squeezenet1_1

    torch.set_num_threads(1)
    torch.save({"state_dict": squeezenet1_1(num_classes=2).state_dict()}, tmp_path / "w.pth")
    (tmp_path / "two.csv").write_text("id,environment\nkitchen,indoor\nbeach,outdoor\n")
    common = ("-a", "squeezenet1_1", "--labels", str(tmp_path / "two.csv"), "--name", "two")
    result = run(
        "convert", str(tmp_path / "w.pth"), *common, "--short-side", "232", "--source", "me", "--license", "MIT"
    )
    assert result.exit_code == 0, result.exception
    assert "veduta tag photo.jpg --model two" in result.stdout
    bundle = Bundle.load(store / "two")
    assert bundle.preprocessing.short_side == 232
    assert [label.environment for label in bundle.heads[0].labels] == ["indoor", "outdoor"]
    assert "- Source: me" in (bundle.path / "README.md").read_text()
    assert "two" in run("list").stdout
    again = run("convert", str(tmp_path / "w.pth"), *common)
    assert isinstance(again.exception, UsageError)
    assert "is in the store already" in str(again.exception)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--filter", "nearest"), "--filter: 'nearest' is unknown"),
        (("--short-side", "100"), "--short-side: 100 is less than the crop of 224"),
    ],
)
def test_a_resize_that_can_not_be_meant_is_refused(options: tuple[str, ...], sentence: str) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run("convert", "w.pth", "-a", "resnet18", "--labels", "imagenet", "--name", "mine", *options)
    assert isinstance(result.exception, UsageError)
    assert sentence in str(result.exception)


def test_a_file_that_is_not_there_is_named() -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    result = run("convert", "none.pth", "-a", "resnet18", "--labels", "imagenet", "--name", "mine")
    assert isinstance(result.exception, WeightsError)
    assert "none.pth: there is no such file" in str(result.exception)
