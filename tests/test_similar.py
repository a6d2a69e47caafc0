from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.collection import open_collection
from alexnet.errors import DataError
from alexnet.features import extract_features
from alexnet.predict import Classifier, load
from alexnet.similar import Neighbour, find_similar, nearest, open_among
from alexnet.weights import Weights

Block = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def classifier(tiny_weights: Weights) -> Classifier:
    return load(tiny_weights)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def refuse(path: str, error: Exception) -> None:
    raise error


def in_blocks(features: np.ndarray, size: int) -> Iterator[Block]:
    for start in range(0, len(features), size):
        yield np.arange(start, min(start + size, len(features))), features[start : start + size]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_nearest_is_the_head_of_all_sorted_by_distance(size: int) -> None:
    rng = np.random.default_rng(0)
    features, query = rng.random((50, 4, 2), dtype=np.float32), rng.random((4, 2), dtype=np.float32)
    distances = np.sqrt(((features - query) ** 2).sum(axis=(1, 2)))
    found = nearest(query, in_blocks(features, size), 5)
    assert [place for place, _ in found] == np.argsort(distances)[:5].tolist()
    np.testing.assert_allclose([distance for _, distance in found], np.sort(distances)[:5], rtol=1e-6)


def test_of_equals_the_first_ones_are_nearest() -> None:
    assert [place for place, _ in nearest(np.zeros(2), in_blocks(np.ones((9, 2)), 2), 4)] == [0, 1, 2, 3]


def test_fewer_images_than_asked_for_are_all_of_them() -> None:
    assert len(nearest(np.zeros(2), in_blocks(np.ones((3, 2)), 2), 9)) == 3


def test_the_image_itself_comes_first(classifier: Classifier, photos: Path) -> None:
    among = open_among(str(photos))
    found = find_similar(classifier, photos / "b/5.png", among, layer="fc3", top=4, batch_size=5, left_out=refuse)
    assert (found[0].path, found[0].label) == ("b/5.png", "b")
    assert found[0].distance == pytest.approx(0, abs=1e-2)
    assert len(found) == 4
    assert [near.distance for near in found] == sorted(near.distance for near in found)


def test_stored_features_give_the_same_neighbours(classifier: Classifier, photos: Path, tmp_path: Path) -> None:
    extract_features(classifier, open_collection([str(photos)]), ["conv1", "fc3"], tmp_path / "f.npz")

    def found(among: str) -> list[Neighbour]:
        return find_similar(classifier, photos / "a/0.png", open_among(among), layer="fc3", top=12, left_out=refuse)

    computed, stored = found(str(photos)), found(str(tmp_path / "f.npz"))
    assert [(near.path, near.label) for near in computed] == [(near.path, near.label) for near in stored]
    np.testing.assert_allclose(
        [near.distance for near in computed], [near.distance for near in stored], rtol=1e-4, atol=1e-2
    )


def test_loose_images_have_no_labels_and_damaged_ones_are_passed_over(classifier: Classifier, photos: Path) -> None:
    (photos / "a/2.png").write_text("words")
    damaged: list[str] = []
    found = find_similar(
        classifier,
        photos / "a/0.png",
        open_among(str(photos / "a")),
        layer="fc3",
        top=99,
        left_out=lambda path, error: damaged.append(path),
    )
    assert damaged == [str(photos / "a/2.png")]
    assert {near.label for near in found} == {None}
    assert len(found) == 5


def test_what_is_no_file_of_features_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="no array 'classes'"):
        open_among(str(tmp_path / "odd.npz"))
