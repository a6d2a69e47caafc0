import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.npz import read_array, read_blocks, write_npz
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
    blocks = list(read_blocks(tmp_path / "a.npz", "rows"))
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
    num_rows = sum(len(rows) for rows in read_blocks(tmp_path / "a.npz", "rows"))
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
        ("nothing.npz", "rows", "No such file"),
    ):
        for read in (read_array, lambda *arguments: list(read_blocks(*arguments))):
            with pytest.raises(DataError, match=words):
                read(tmp_path / name, array)
