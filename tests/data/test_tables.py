import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.collection import Collection, LooseImages
from alexnet.data.tables import Table, read_npz_rows, read_parquet_rows, write_npz_table, write_parquet_table
from alexnet.errors import DataError, ImageError


def table(columns: int = 3) -> Table:
    paths = ["a.png", "b\udcff.png", "c.png"]
    blocks = [(np.array([0]), {"x": np.ones((1, columns))}), (np.array([2]), {"x": np.zeros((1, columns))})]
    return Table(
        collection=Collection(LooseImages(paths, np.array([-1, -1, -1]))),
        empty={"x": np.empty((0, columns))},
        blocks=blocks,
        errors=[(paths[1], ImageError("b: torn"))],
        words={"notes": ["one", "two"]},
    )


def test_an_npz_table_says_what_it_holds(tmp_path: Path) -> None:
    write_npz_table(tmp_path / "t.npz", table())
    rows = read_npz_rows(tmp_path / "t.npz")
    assert (rows.images, rows.errors) == (2, (("b\udcff.png", "b: torn"),))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert arrays["paths"].tolist() == ["a.png", "c.png"]
        assert arrays["x"].tolist() == [[1, 1, 1], [0, 0, 0]]
        assert arrays["notes"].tolist() == ["one", "two"]


def test_a_parquet_table_says_what_it_holds(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet_table(tmp_path / "t.parquet", table())
    rows = read_parquet_rows(tmp_path / "t.parquet")
    assert (rows.images, [reason for _, reason in rows.errors]) == (2, ["b: torn"])
    found = parquet.read_table(tmp_path / "t.parquet")
    assert found.to_pylist() == [
        {"path": "a.png", "label": -1, "x": [1.0, 1.0, 1.0]},
        {"path": "c.png", "label": -1, "x": [0.0, 0.0, 0.0]},
    ]


def test_arrow_finds_the_metadata_of_a_parquet_file_in_its_schema(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    write_parquet_table(path, table())
    about = {"shapes": {"x": [3]}, "root": [], "classes": [], "errors": [["b\udcff.png", "b: torn"]]}
    of_schema, of_table = parquet.read_schema(path), parquet.read_table(path).schema
    for metadata in (parquet.read_metadata(path).metadata, of_schema.metadata, of_table.metadata):
        assert json.loads(metadata[b"alexnet"]) == about | {"notes": ["one", "two"]}
    assert str(of_schema.field("x").type) == str(of_table.field("x").type) == "fixed_size_list<element: double>[3]"


def test_a_path_that_is_no_text_is_escaped_in_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    whole = table()
    odd = Table(**{**vars(whole), "blocks": [(np.array([1]), {"x": np.ones((1, 3))})]})
    write_parquet_table(tmp_path / "t.parquet", odd)
    assert parquet.read_table(tmp_path / "t.parquet")["path"].to_pylist() == [r"b\udcff.png"]


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_a_table_cut_anywhere_is_no_table(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"t.{suffix}"
    write, read = {"npz": (write_npz_table, read_npz_rows), "parquet": (write_parquet_table, read_parquet_rows)}[suffix]
    write(path, table())
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read(path)
    path.unlink()
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize("write", [write_npz_table, write_parquet_table])
def test_a_failure_leaves_nothing(tmp_path: Path, write) -> None:
    if write is write_parquet_table:
        pytest.importorskip("pyarrow")

    def fail():
        yield np.array([0]), {"x": np.ones((1, 3))}
        raise ImageError("gone")

    with pytest.raises(ImageError, match="gone"):
        write(tmp_path / "t", Table(**{**vars(table()), "blocks": fail()}))
    assert list(tmp_path.iterdir()) == []
