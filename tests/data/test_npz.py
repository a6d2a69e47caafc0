import tracemalloc
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from alexnet.data.npz import read_array, read_blocks, read_words, write_npz
from alexnet.errors import DataError


def test_numpy_reads_what_was_appended_without_pickles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = [rng.random((n, 3, 2), dtype=np.float32) for n in (4, 0, 1, 7)]
    with write_npz(tmp_path / "a.npz") as npz:
        for block in blocks:
            npz.append("rows", block)
            npz.append("numbers", np.arange(len(block)))
        npz.append("words", np.array(["a", "ü\udcff", "ccc"]))
        npz.append("none", np.array([], "<U1"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["rows", "numbers", "words", "none"]
        np.testing.assert_array_equal(arrays["rows"], np.concatenate(blocks))
        assert arrays["numbers"].shape == (12,)
        assert arrays["words"].tolist() == ["a", "ü\udcff", "ccc"]
        assert arrays["none"].shape == (0,)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_blocks_are_the_rows_of_any_npz_file(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.npz._BYTES_PER_BLOCK", 100)
    rows = np.arange(75, dtype=np.float32).reshape(25, 3)
    save(tmp_path / "a.npz", rows=rows)
    blocks = list(read_blocks(tmp_path / "a.npz", "rows", np.float32, (None, 3)))
    assert [len(block) for block in blocks] == [8, 8, 8, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), rows)


def test_memory_holds_one_block_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.npz._BYTES_PER_BLOCK", 1 << 20)
    block = np.zeros((1024, 1024), np.float32)
    tracemalloc.start()
    with write_npz(tmp_path / "a.npz") as npz:
        for _ in range(16):
            npz.append("rows", block)
    most_written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    num_rows = sum(len(rows) for rows in read_blocks(tmp_path / "a.npz", "rows", np.float32, (16 * 1024, 1024)))
    most_read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_rows == 16 * 1024
    assert most_written < 16 << 20  # of 64 MiB
    assert most_read < 8 << 20


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path, stop: BaseException) -> None:
    def write() -> None:
        with write_npz(tmp_path / "a.npz") as npz:
            npz.append("rows", np.zeros(3))
            raise stop

    with pytest.raises(type(stop)):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_by_the_file_that_was_wanted(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.npz"
    with pytest.raises(OSError, match="No such file") as caught, write_npz(path) as npz:
        npz.append("rows", np.zeros(3))
    assert caught.value.filename == str(path)


def test_rows_must_be_alike(tmp_path: Path) -> None:
    with write_npz(tmp_path / "a.npz") as npz:
        npz.append("rows", np.zeros((3, 2)))
        with pytest.raises(ValueError, match="rows has rows of"):
            npz.append("rows", np.zeros((3, 4)))


def readings(path: Path, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    """Both ways to read an array fail alike."""
    with pytest.raises(DataError) as of_all:
        read_array(path, name, dtype, shape)
    with pytest.raises(DataError) as of_blocks:
        list(read_blocks(path, name, dtype, shape))
    assert str(of_all.value) == str(of_blocks.value)
    raise of_all.value


def test_damage_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rows=np.zeros((1000, 3)), things=np.array([{}], object))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "words.npz").write_text("words")
    for name, array, words in (
        ("a.npz", "columns", "no array 'columns'"),
        ("a.npz", "things", "damaged, or no NPZ file"),
        ("cut.npz", "rows", "damaged, or no NPZ file"),
        ("words.npz", "rows", "damaged, or no NPZ file"),
        ("nothing.npz", "rows", r"nothing\.npz: no such file"),
        (".", "rows", "cannot be read"),
    ):
        with pytest.raises(DataError, match=words):
            readings(tmp_path / name, array, np.float64, (None, 3))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 3), np.float32), "float32"),
        (np.zeros((4, 2)), r"\(4, 2\), not float64 any x 3"),
        (np.zeros((4, 3, 1)), r"\(4, 3, 1\)"),
        (np.zeros(()), "not plain rows"),
        (np.asfortranarray(np.zeros((4, 3))), "not plain rows"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.savez(tmp_path / "a.npz", rows=array)
    with pytest.raises(DataError, match=words):
        readings(tmp_path / "a.npz", "rows", np.float64, (None, 3))


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (1, HEADER.format("<f8", (10**12, 3))),
        (1, HEADER.format("<f8", (-1, 3))),
        (1, HEADER.format("<f8", (10**400, 3))),
        (1, HEADER.format("<U0", (10**12, 3))),
        (1, HEADER.format("<f8", (2.5, 3))),
        (1, HEADER.format("|O", (1, 3))),
        (1, "{'descr': ("),
        (1, '"""'),
        (1, "[" * 5000),
        (3, HEADER.format("<f8", (1, 3))),
        (9, HEADER.format("<f8", (1, 3))),
    ],
)
def test_headers_are_not_believed(tmp_path: Path, version: int, header: str) -> None:
    line = header.encode() + b"\n"
    length = len(line).to_bytes(2 if version == 1 else 4, "little")
    with ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", b"\x93NUMPY" + bytes([version, 0]) + length + line + bytes(24))
    with pytest.raises(DataError, match="damaged, or no NPZ file"):
        readings(tmp_path / "a.npz", "rows", np.float64, (None, 3))


def test_a_flipped_byte_anywhere_is_a_data_error_or_harmless(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", rows=np.random.default_rng(0).random((5, 3)))
    whole = (tmp_path / "a.npz").read_bytes()
    for place in range(len(whole)):
        (tmp_path / "a.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(DataError):
            assert read_array(tmp_path / "a.npz", "rows", np.float64, (None, 3)).shape == (5, 3)


def test_words_are_read_as_they_were_and_must_be_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", words=np.array(["a", "\udcff"]), none=np.array([], "<U1"), numbers=np.zeros(2))
    assert read_words(tmp_path / "a.npz", "words", 2) == ["a", "\udcff"]
    assert read_words(tmp_path / "a.npz", "none") == []
    for name, count in (("words", 3), ("numbers", None)):
        with pytest.raises(DataError, match="not str"):
            read_words(tmp_path / "a.npz", name, count)
    for odd in (np.frombuffer(b"\xff" * 8, "<U2"), np.array(["a\0b"])):
        np.savez(tmp_path / "a.npz", words=odd)
        with pytest.raises(DataError, match="words of no characters"):
            read_words(tmp_path / "a.npz", "words")
