import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.collection import Collection
from alexnet.errors import DataError, InputError
from alexnet.features import extract_features, probe_features
from alexnet.parts.job import MANIFEST, Process
from alexnet.parts.tables import Tables
from alexnet.predict import Classifier, load
from alexnet.weights import Weights

LAYERS = ["fc3", "conv1:pre"]
ALONE = Process()


@pytest.fixture
def tables(classifier: Classifier, collection: Collection, tmp_path: Path) -> Tables:
    return Tables(
        classifier=classifier, collection=collection, folder=tmp_path / "parts", images_per_part=4, batch_size=2
    )


def features(tables: Tables, process: Process = ALONE, layers: list[str] = LAYERS):
    return tables.features(probe_features(tables.classifier, layers), process)


def parts_of(folder: Path, suffix: str = "npz") -> list[Path]:
    return sorted(folder.glob(f"part-*.{suffix}"))


def test_parts_of_two_processes_are_the_rows_of_the_single_file(tables: Tables, tmp_path: Path) -> None:
    for rank in (1, 0):
        features(tables, Process(rank, 2))
    extract_features(tables.classifier, tables.collection, LAYERS, tmp_path / "all.npz", batch_size=2)
    found = [dict(np.load(path)) for path in parts_of(tables.folder)]
    assert [len(part["paths"]) for part in found] == [4, 4, 2]
    with np.load(tmp_path / "all.npz") as single:
        assert found[0].keys() == set(single.files)
        for name in ("features", "features.conv1:pre", "labels", "paths"):
            np.testing.assert_array_equal(np.concatenate([part[name] for part in found]), single[name])
        for name in ("classes", "layers", "probe", "root"):
            np.testing.assert_array_equal(found[2][name], single[name])


def test_parts_do_not_depend_on_the_number_of_processes(tables: Tables, tmp_path: Path) -> None:
    features(tables)
    alone = {path.name: path.read_bytes() for path in parts_of(tables.folder)}
    shared = Tables(**{**vars(tables), "folder": tmp_path / "shared"})
    for rank in range(3):
        features(shared, Process(rank, 3))
    for path in parts_of(shared.folder):
        with np.load(path) as theirs, np.load(tables.folder / path.name) as ours:
            assert path.name in alone
            for name in ours.files:
                np.testing.assert_array_equal(theirs[name], ours[name])


def test_predictions_are_those_of_the_classifier(tables: Tables, photos: Path) -> None:
    tables.predictions(3, "ten", Process())
    parts = [dict(np.load(path)) for path in parts_of(tables.folder)]
    names = parts[0]["top_classes"]
    rows = [
        row for part in parts for row in zip(part["paths"], part["top_index"], part["top_probability"], strict=True)
    ]
    assert len(rows) == 10
    for path, index, probability in rows:
        best = tables.classifier.predict(photos / str(path), 3, "ten")
        assert [each.label for each in best] == names[index].tolist()
        np.testing.assert_allclose([each.probability for each in best], probability, rtol=1e-5)


def test_a_stopped_job_goes_on_where_it_was(tables: Tables) -> None:
    """Ctrl-C in the second part: the first stays, of the second nothing is left."""
    seen = 0

    def stop(count: int) -> None:
        nonlocal seen
        seen += count
        if seen == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(Tables(**{**vars(tables), "progress": stop}))
    [first] = parts_of(tables.folder)
    assert sorted(path.name for path in tables.folder.iterdir()) == [MANIFEST, first.name]
    before = first.stat().st_mtime_ns
    assert features(tables).made == 2
    assert first.stat().st_mtime_ns == before
    paths = [str(path) for part in parts_of(tables.folder) for path in np.load(part)["paths"]]
    assert paths == list(tables.collection.images.paths)


@pytest.mark.parametrize("file_format", ["npz", "parquet"])
def test_a_part_without_its_end_is_made_again(tables: Tables, file_format) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    tables = Tables(**{**vars(tables), "file_format": file_format})
    features(tables)
    part = parts_of(tables.folder, file_format)[1]
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])
    assert features(tables).made == 1
    assert len(part.read_bytes()) == len(whole)
    assert features(tables).made == 0


@pytest.mark.parametrize("file_format", ["npz", "parquet"])
def test_damaged_images_are_left_out_and_listed_in_their_part(tables: Tables, photos: Path, file_format) -> None:
    """All of the second part, which stays without a row."""
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    tables = Tables(**{**vars(tables), "file_format": file_format})
    damaged = list(tables.collection.images.paths[3:8])
    for path in damaged:
        (photos / path).write_text("words")
    for _ in range(2):  # the second time they are read from the parts
        outcome = features(tables)
        assert [path for path, _ in outcome.errors] == damaged
        assert all("not an image" in str(error) for _, error in outcome.errors)
        assert outcome.images == 5
    if file_format == "npz":
        found = [np.load(path) for path in parts_of(tables.folder)]
        assert [len(part["features"]) for part in found] == [3, 0, 2]
        assert found[1]["features.conv1:pre"].shape == (0, 8, 10, 10)
        assert [str(path) for part in found for path in part["error_paths"]] == damaged


def test_data_that_vanish_in_mid_job_leave_no_empty_part(tables: Tables, photos: Path) -> None:
    for path in photos.rglob("*.png"):
        path.unlink()
    tables = Tables(**{**vars(tables), "images_per_part": 100})
    big = Collection(tables.collection.images, tables.collection.classes)
    many = Tables(**{**vars(tables), "collection": Collection(_Repeated(big.images), big.classes)})
    with pytest.raises(DataError, match=r"more than half of the 30 images .* are the data still there"):
        features(many)
    assert parts_of(tables.folder) == []


class _Repeated:
    """A split three times over."""

    def __init__(self, split) -> None:
        self.labels, self.paths = np.tile(split.labels, 3), list(split.paths) * 3
        self._split = split

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int):
        return self._split.image(index % len(self._split))


def test_another_job_is_told_by_weights_data_and_what_is_asked(
    tables: Tables, tiny_weights: Weights, photos: Path
) -> None:
    features(tables)
    with pytest.raises(InputError, match=r'layers is .*"fc3", "conv1:pre".* there, and .*"fc3".* here'):
        features(tables, layers=["fc3"])
    with pytest.raises(InputError, match='job is "features" there, and "predictions" here'):
        tables.predictions(5, "center", Process())
    tiny_weights.tensors["fc3.weight"][0] += 1
    other = Tables(**{**vars(tables), "classifier": load(tiny_weights)})
    with pytest.raises(InputError, match="parts of other weights; choose"):
        features(other)


def test_parquet_has_the_same_rows_with_names(tables: Tables) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    features(tables)
    as_parquet = Tables(**{**vars(tables), "file_format": "parquet", "folder": tables.folder.parent / "parquet"})
    features(as_parquet)
    for ours, theirs in zip(parts_of(as_parquet.folder, "parquet"), parts_of(tables.folder), strict=True):
        table, arrays = parquet.read_table(ours), np.load(theirs)
        assert table.column_names == ["path", "label", "fc3", "conv1:pre"]
        assert table["path"].to_pylist() == arrays["paths"].tolist()
        assert table["label"].to_pylist() == arrays["labels"].tolist()
        assert str(table.schema.field("fc3").type) == "fixed_size_list<element: float>[16]"
        np.testing.assert_array_equal(np.array(table["fc3"].to_pylist(), np.float32), arrays["features"])
        shape = json.loads(parquet.read_metadata(ours).metadata[b"alexnet"])["shapes"]["conv1:pre"]
        rows = np.array(table["conv1:pre"].to_pylist(), np.float32).reshape(-1, *shape)
        np.testing.assert_array_equal(rows, arrays["features.conv1:pre"])


def test_a_folder_of_parquet_parts_is_one_table(tables: Tables) -> None:
    """With what lies beside them: the manifest, and what a killed process leaves while others go on."""
    parquet, dataset = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.dataset")
    tables = Tables(**{**vars(tables), "file_format": "parquet"})
    tables.predictions(2, "center", Process())
    (tables.folder / ".part-00001-of-00003.parquet.0123abcd.tmp").write_text("half")
    table = parquet.read_table(tables.folder)
    assert table["path"].to_pylist() == list(tables.collection.images.paths)
    assert dataset.dataset(tables.folder).count_rows() == 10
    about = json.loads(table.schema.metadata[b"alexnet"])
    assert about["classes"] == [info.name for info in tables.collection.classes]


def test_parquet_predictions_have_labels(tables: Tables) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    tables = Tables(**{**vars(tables), "file_format": "parquet"})
    tables.predictions(9, "center", Process())  # of six classes
    for row in parquet.read_table(parts_of(tables.folder, "parquet")[0]).to_pylist():
        best = tables.classifier.predict(tables.collection.root / row["path"], 6)
        assert row["top_label"] == [each.label for each in best]
        assert row["top_index"] == [each.index for each in best]
        assert row["label"] == next(
            i.index for i in tables.collection.classes if i.name == Path(row["path"]).parent.name
        )
