from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

matlab = pytest.importorskip("scipy.io", reason="the extra dataset is not installed")

from veduta.datasets.matlab import read_numbers, read_texts
from veduta.errors import UsageError

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
MADE_BY_MATLAB = Path(matlab.__file__).parent / "matlab" / "tests" / "data"


def cells(texts: list[str]) -> np.ndarray:
    found = np.empty((len(texts), 1), object)
    found[:, 0] = texts
    return found


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def variable(kind: int, shape: tuple[int, ...], name: bytes = b"", content: bytes = b"") -> bytes:
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name) + content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made.mat"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_texts_and_numbers_are_what_was_saved(file: Path, packed: bool) -> None:
    texts, numbers = ["a/abbey/1.jpg", "ä, 漢", ""], np.arange(6.0).reshape(2, 3) / 7
    matlab.savemat(file, {"other": {"a": 1}, "texts": cells(texts), "n": numbers}, do_compression=packed)
    assert read_texts(file, "texts") == texts
    assert (read_numbers(file, "n") == numbers).all()


@given(arrays(st.sampled_from(["f4", "f8", "u1", "i4"]), array_shapes(min_dims=2, max_dims=2)), st.booleans())
def test_any_matrix_comes_back(tmp_path_factory: pytest.TempPathFactory, numbers: np.ndarray, packed: bool) -> None:
    file = tmp_path_factory.getbasetemp() / "any.mat"
    matlab.savemat(file, {"n": numbers}, do_compression=packed)
    assert np.array_equal(read_numbers(file, "n"), numbers.astype(float), equal_nan=True)


@pytest.mark.skipif(not MADE_BY_MATLAB.is_dir(), reason="scipy came without its samples")
@pytest.mark.parametrize("system", ["6.1_SOL2", "6.5.1_GLNX86", "7.1_GLNX86", "7.4_GLNX86"])
def test_files_that_matlab_wrote_in_either_byte_order_are_read_as_scipy_reads_them(system: str) -> None:
    for name in ("testdouble", "testmatrix", "testminus"):
        file = MADE_BY_MATLAB / f"{name}_{system}.mat"
        assert (read_numbers(file, name) == matlab.loadmat(file)[name]).all()


def damaged(file: Path) -> bytes:
    matlab.savemat(file, {"texts": cells(["one", "two", "three"])}, do_compression=False)
    return file.read_bytes()


def test_cut_off_anywhere_it_is_one_sentence(file: Path) -> None:
    whole = damaged(file)
    for length in range(len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(UsageError, match=r"made\.mat .*get it anew"):
            read_texts(file, "texts")


def test_a_size_that_is_no_row_of_numbers_is_one_sentence(file: Path) -> None:
    whole = damaged(file)
    at = whole.index(struct.pack("<II", 5, 8))
    file.write_bytes(whole[: at + 4] + struct.pack("<I", 9) + whole[at + 8 :])
    with pytest.raises(UsageError, match=r"made\.mat"):
        read_texts(file, "texts")


@given(st.data())
def test_no_altered_byte_does_worse_than_a_sentence_or_other_texts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "altered.mat"
    content = bytearray(damaged(file))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content))
    with suppress(UsageError):
        assert len(read_texts(file, "texts")) <= 3


def test_what_would_take_all_memory_or_end_the_process_in_scipy_is_refused(file: Path) -> None:
    file.write_bytes(HEADER + variable(1, (1, 1), b"texts", variable(1, (2**31 - 1, 1))))
    with pytest.raises(UsageError, match="something else than one line of text"):
        read_texts(file, "texts")
    deep = struct.pack("<II", 14, 2**31 - 1) + variable(1, (1, 1), b"texts")[8:]
    content = element(14, deep * 200_000)
    file.write_bytes(HEADER + content)
    with pytest.raises(UsageError, match="is cut off"):
        read_texts(file, "texts")
    file.write_bytes(HEADER + variable(1, (2**31 - 1, 2), b"texts"))
    with pytest.raises(UsageError, match="holds 0 texts"):
        read_texts(file, "texts")
    file.write_bytes(HEADER + variable(6, (2**31 - 1, 2), b"n", element(9, b"")))
    with pytest.raises(UsageError, match="holds 0 bytes of numbers"):
        read_numbers(file, "n")


def test_what_unpacks_to_too_much_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veduta.datasets.matlab.MOST_UNPACKED", 2**20)
    file.write_bytes(HEADER + element(15, zlib.compress(b"\0" * 2**21)))
    with pytest.raises(UsageError, match="unpacks to more than"):
        read_texts(file, "texts")
    monkeypatch.setattr("veduta.datasets.matlab.MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="is larger than"):
        read_texts(file, "texts")


def test_objects_functions_and_other_kinds_are_refused(file: Path) -> None:
    for kind in (2, 3, 5, 16, 17):  # structure, object, sparse, function handle, opaque
        file.write_bytes(HEADER + variable(1, (1, 1), b"texts", variable(kind, (1, 1))))
        with pytest.raises(UsageError, match="something else than one line of text in 'texts'"):
            read_texts(file, "texts")
    matlab.savemat(file, {"n": np.array([[1 + 2j]]), "cube": np.zeros((2, 2, 2)), "texts": cells(["a"])})
    with pytest.raises(UsageError, match="complex"):
        read_numbers(file, "n")
    with pytest.raises(UsageError, match="expected a matrix"):
        read_numbers(file, "cube")
    with pytest.raises(UsageError, match="expected a cell array"):
        read_texts(file, "n")
    with pytest.raises(UsageError, match="no variable 'gone'"):
        read_texts(file, "gone")


def test_other_files_are_named_for_what_they_are(file: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_texts(file, "texts")
    old = io.BytesIO()
    matlab.savemat(old, {"n": np.eye(2)}, format="4")
    for content, said in (
        (old.getvalue(), "no MATLAB file"),
        (b"", "no MATLAB file"),
        (b"\x89HDF\r\n", "save it with -v7"),
    ):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=said):
            read_numbers(file, "n")
