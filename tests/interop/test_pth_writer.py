import io
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest

from alexnet.interop.pth import check_sums, read_extra, read_state_dict
from alexnet.interop.pth_writer import write_state_dict

RNG = np.random.default_rng(0)
TENSORS = {
    "conv1.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "conv1.bias": np.arange(5, dtype=np.float32),
    "scale": np.array(3, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "turned": RNG.normal(size=(6, 4)).astype(np.float32).T,
    "ключ": np.zeros((1, 2, 3, 4, 5), np.float32),
}
EXTRA = {"notes.json": b'{"a": 1}', "mean": bytes(range(100))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_state_dict(tmp_path / "net.pth", TENSORS, EXTRA)
    return tmp_path / "net.pth"


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_what_was_written_and_passes_over_the_rest(path: Path, mmap: bool) -> None:
    torch = pytest.importorskip("torch")
    found = torch.load(path, weights_only=True, mmap=mmap)
    assert list(found) == list(TENSORS)
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(found[key].numpy(), array)
        assert (found[key].dtype, found[key].is_contiguous()) == (torch.float32, True)
        assert not found[key].requires_grad


def test_so_does_our_own_reader_with_the_rest(path: Path) -> None:
    content = path.read_bytes()
    file, view = io.BytesIO(content), memoryview(content)
    found = read_state_dict(file, view)
    assert list(found) == list(TENSORS)
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(found[key], array)
    assert {name: bytes(part) for name, part in read_extra(file, view).items()} == EXTRA
    check_sums(file, view)


def test_a_file_of_torch_has_nothing_extra() -> None:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"x": torch.zeros(3)}, file)
    assert read_extra(file, memoryview(file.getvalue())) == {}


def test_the_same_tensors_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_state_dict(tmp_path / "again.pth", TENSORS, EXTRA)
    assert (tmp_path / "again.pth").read_bytes() == path.read_bytes()


def test_every_part_is_stored_plainly_at_a_multiple_of_64_bytes(path: Path) -> None:
    content = path.read_bytes()
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == ZIP_STORED
            header = content[info.header_offset : info.header_offset + 30]
            name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
            assert (info.header_offset + 30 + name + extra) % 64 == 0
