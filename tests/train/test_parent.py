"""Runs of a small net that begin with the weights of another."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.train.runs import Begin

from alexnet.weights import find_weights

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_a_run_starts_from_another_runs_weights(begin: Begin, photos: Path, tmp_path: Path) -> None:
    """Ten digits become three colours: every row but the last begins as it ended, and so does the preprocessing."""
    begin("parent", data="digits", limit_train_batches=1, recipe="krizhevsky-145")
    parent = find_weights(tmp_path / "parent")
    begin("child", net=None, weights=str(tmp_path / "parent"), lr=1e-30, recipe="digits")
    child = find_weights(tmp_path / "child")
    assert child.preprocessing == parent.preprocessing
    np.testing.assert_array_equal(child.preprocessing.mean_image, parent.preprocessing.mean_image)
    assert [info.name for info in child.classes] == ["blue", "green", "red"]
    for name in child.tensors:
        if name.startswith("fc5."):
            assert child.tensors[name].shape[0] == 3
        else:
            np.testing.assert_array_equal(child.tensors[name], parent.tensors[name])


def renamed(photos: Path, folder: Path, **names: str) -> Path:
    """The photos with other names of classes."""
    for path in photos.iterdir():
        shutil.copytree(path, folder / names.get(path.name, path.name))
    return folder


def test_the_last_row_follows_the_classes_of_the_data(begin: Begin, watching, photos: Path, tmp_path: Path) -> None:
    """Capital letters sort first: the same classes in another order keep their rows."""
    begin("parent", epochs=1)
    parent = find_weights(tmp_path / "parent")
    data = renamed(photos, tmp_path / "data", red="Red")
    observer = watching()
    begin("child", observer, data=str(data), net=None, weights=str(tmp_path / "parent"), lr=1e-30, epochs=1)
    child = find_weights(tmp_path / "child")
    assert [info.name for info in child.classes] == ["Red", "blue", "green"]
    assert any("fc5 begins as the parent's" in line for line in observer.news)
    for part in ("weight", "bias"):
        np.testing.assert_array_equal(child.tensors[f"fc5.{part}"], parent.tensors[f"fc5.{part}"][[2, 0, 1]])


IN_PARTS = "".join(
    f"[{name}]\ntype={keys}\n"
    for name, keys in {
        "data": "data\ndataIdx=0",
        "labels": "data\ndataIdx=1",
        "conv": "conv\ninputs=data\nchannels=3\nfilters=4\nfilterSize=5\nstride=3\ninitW=0.05\nneuron=relu",
        "few": "fc\ninputs=conv\noutputs=1\ninitW=0.01",
        "rest": "fc\ninputs=conv\noutputs=2\ninitW=0.01",
        "all": "concat\ninputs=few,rest",
        "probs": "softmax\ninputs=all",
        "cost": "cost.logreg\ninputs=labels,probs",
    }.items()
)


def test_a_net_with_its_classes_in_several_rows_is_trained_and_trained_on(
    begin: Begin, watching, photos: Path, tmp_path: Path
) -> None:
    """Its rows are kept for the same classes in the same order, and begin anew for others."""
    (tmp_path / "net.cfg").write_text(IN_PARTS)
    begin("parent", net=str(tmp_path / "net.cfg"), recipe="digits", input_size=20, epochs=1)
    parent = find_weights(tmp_path / "parent")
    assert parent.spec.input == (3, 20, 20)
    observer = watching()
    for name, data in (("child", photos), ("other", renamed(photos, tmp_path / "data", red="Red"))):
        settings = {"net": None, "weights": str(tmp_path / "parent"), "lr": 1e-30, "epochs": 1}
        begin(name, observer, data=str(data), **settings)
    assert sum("few and rest begin as the parent's" in line for line in observer.news) == 1
    assert sum("few and rest begin anew" in line for line in observer.news) == 1
    same, other = (find_weights(tmp_path / name).tensors for name in ("child", "other"))
    np.testing.assert_array_equal(same["rest.weight"], parent.tensors["rest.weight"])
    assert not np.array_equal(other["rest.weight"], parent.tensors["rest.weight"])
    np.testing.assert_array_equal(other["conv.weight"], parent.tensors["conv.weight"])


def test_as_many_classes_of_another_kind_get_a_new_last_row(
    begin: Begin, watching, photos: Path, tmp_path: Path
) -> None:
    begin("parent", epochs=1)
    parent = find_weights(tmp_path / "parent")
    data = renamed(photos, tmp_path / "data", red="violet")
    observer = watching()
    begin("child", observer, data=str(data), net=None, weights=str(tmp_path / "parent"), lr=1e-30, epochs=1)
    assert any("fc5 begins anew" in line for line in observer.news)
    child = find_weights(tmp_path / "child")
    assert not np.array_equal(child.tensors["fc5.weight"], parent.tensors["fc5.weight"])
    np.testing.assert_array_equal(child.tensors["conv2.weight"], parent.tensors["conv2.weight"])
