import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest

from alexnet.arch import NETS
from alexnet.data.splits import unnamed_classes
from alexnet.errors import WeightsError
from alexnet.interop.torchvision import ROWS
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, find_weights
from alexnet.weights.catalog import find_header, sniff
from alexnet.weights.pth import save_pth
from alexnet.weights.stored import StoredTensors

Change = Callable[[str, bytes], bytes | None]


@pytest.fixture
def torchvisions(random_tensors) -> Weights:
    """Small weights of torchvision's net, for seven classes."""
    return Weights(
        spec=NETS["one-weird-trick"].with_classes(7),
        classes=unnamed_classes(7),
        preprocessing=Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        tensors=random_tensors("one-weird-trick", 7),
        recipe={"epochs": 3},
        licence="MIT",
    )


@pytest.fixture
def path(tmp_path: Path, probed_weights: Weights) -> Path:
    save_pth(tmp_path / "net.pth", probed_weights)
    return tmp_path / "net.pth"


def assert_are(found: Weights, weights: Weights) -> None:
    for part in ("spec", "classes", "preprocessing", "recipe", "errors", "probe", "licence"):
        assert getattr(found, part) == getattr(weights, part), part
    assert list(found.tensors) == list(weights.tensors)
    for key, array in weights.tensors.items():
        np.testing.assert_array_equal(found.tensors[key], array)
    if weights.preprocessing.mean_image is None:
        assert found.preprocessing.mean_image is None
    else:
        np.testing.assert_array_equal(found.preprocessing.mean_image, weights.preprocessing.mean_image)


def rewrite(path: Path, change: Change, compression: int = ZIP_STORED) -> None:
    """The archive with its parts through `change`: name and content to another content, or to None."""
    with ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with ZipFile(path, "w", compression) as new:
        for name, content in parts.items():
            if (changed := change(name.partition("/")[2], content)) is not None:
                new.writestr(name, changed)


def test_all_comes_back_without_torch_and_stays_in_the_file(path: Path, probed_weights: Weights, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = find_weights(path)
    assert_are(found, probed_weights)
    assert isinstance(found.tensors, StoredTensors)
    header = find_header(path)
    assert (header.spec, header.classes, header.licence) == (probed_weights.spec, probed_weights.classes, None)


def test_of_any_net_it_is_the_state_dict_of_our_module(path: Path, probed_weights: Weights) -> None:
    torch = pytest.importorskip("torch")
    from alexnet.nn import build

    net = build(probed_weights.spec)
    state = torch.load(path, weights_only=True)
    assert list(state) == list(net.state_dict())
    net.load_state_dict(state)
    np.testing.assert_array_equal(net.fc4.weight.detach().numpy(), probed_weights.tensors["fc4.weight"])


def test_of_torchvisions_net_it_has_torchvisions_keys(tmp_path: Path, torchvisions: Weights) -> None:
    torch = pytest.importorskip("torch")
    save_pth(tmp_path / "net.pth", torchvisions)
    assert_are(find_weights(tmp_path / "net.pth"), torchvisions)
    state = torch.load(tmp_path / "net.pth", weights_only=True)
    assert list(state) == [f"{module}.{part}" for module in ROWS for part in ("weight", "bias")]
    for module, row in ROWS.items():
        np.testing.assert_array_equal(state[f"{module}.weight"].numpy(), torchvisions.tensors[f"{row}.weight"])


def test_torchvision_itself_takes_it(tmp_path: Path, torchvisions: Weights, monkeypatch) -> None:
    torch, models = pytest.importorskip("torch"), pytest.importorskip("torchvision.models")
    monkeypatch.undo()  # the net in its own size
    from alexnet.nn import create

    ours = create("one-weird-trick", num_classes=7, seed=0).eval()
    tensors = {key: tensor.numpy() for key, tensor in ours.state_dict().items()}
    save_pth(tmp_path / "net.pth", replace(torchvisions, spec=ours.spec, tensors=tensors))
    theirs = models.alexnet(num_classes=7).eval()
    theirs.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))


def test_what_torch_saves_anew_is_a_file_of_others(tmp_path: Path, torchvisions: Weights) -> None:
    torch = pytest.importorskip("torch")
    save_pth(tmp_path / "net.pth", torchvisions)
    torch.save(torch.load(tmp_path / "net.pth", weights_only=True), tmp_path / "net.pth")
    found = find_weights(tmp_path / "net.pth")
    assert (found.spec, found.recipe) == (torchvisions.spec, None)


@pytest.mark.parametrize("name", ["data.pth", "dataset-net.pth", "data"])
def test_a_file_of_any_name_is_read(tmp_path: Path, torchvisions: Weights, name: str) -> None:
    """PyTorch calls the folder in its archive after the file; cuda-convnet called the one member of its own so."""
    torch = pytest.importorskip("torch")
    save_pth(tmp_path / "net.pth", torchvisions)
    torch.save(torch.load(tmp_path / "net.pth", weights_only=True), tmp_path / name)
    assert find_weights(tmp_path / name).spec == torchvisions.spec


def test_errors_name_the_path_of_a_file_of_others_once(tmp_path: Path, torchvisions: Weights) -> None:
    torch = pytest.importorskip("torch")
    save_pth(tmp_path / "net.pth", torchvisions)
    state = torch.load(tmp_path / "net.pth", weights_only=True)
    state["features.0.bias"][0] = float("nan")
    torch.save(state, path := tmp_path / "nan.pth")
    with pytest.raises(WeightsError) as caught:
        find_weights(path)
    assert str(caught.value).count("nan.pth") == 1
    del state["features.0.bias"]
    torch.save(state, path)
    with pytest.raises(WeightsError) as caught:
        find_header(path)
    assert str(caught.value).count("nan.pth") == 1


def test_nothing_is_written_where_tensors_are_no_weights(tmp_path: Path, tiny_weights: Weights) -> None:
    spoiled = dict(tiny_weights.tensors) | {"fc4.bias": np.full(6, np.nan, np.float32)}
    with pytest.raises(WeightsError, match=r"NaN or infinity in fc4\.bias"):
        save_pth(tmp_path / "net.pth", replace(tiny_weights, tensors=spoiled))
    assert list(tmp_path.iterdir()) == []


SPOILED: dict[str, tuple[Change, str]] = {
    "metadata that is no JSON": (lambda name, old: b"{" if name.endswith("json") else old, "damaged metadata"),
    "metadata of a later version": (
        lambda name, old: old.replace(b'"format": 1', b'"format": 9') if name.endswith("json") else old,
        "upgrade alexnet",
    ),
    "deep metadata": (lambda name, old: b"[" * 100_000 if name.endswith("json") else old, "damaged metadata"),
    "metadata that is no text": (lambda name, old: b"\xff" if name.endswith("json") else old, "damaged metadata"),
    "no mean image": (lambda name, old: None if name.endswith("mean_image") else old, "the mean image is missing"),
    "a cut mean image": (lambda name, old: old[:-4] if name.endswith("mean_image") else old, "damaged metadata"),
    "a mean image of words": (
        lambda name, old: old.replace(b'"resize": 16', b'"resize": ["x", 99999999999]') if "json" in name else old,
        "damaged metadata",
    ),
    "another shape": (
        lambda name, old: old.replace(b'"out_features": 16', b'"out_features": 17') if name.endswith("json") else old,
        r"of another shape fc3\.weight",
    ),
    "NaN": (lambda name, old: b"\xff" * len(old) if name == "data/1" else old, r"NaN or infinity in conv1\.bias"),
    "a tensor missing": (lambda name, old: None if name == "data/1" else old, "damaged"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_anything_else_is_refused_in_one_line(path: Path, what: str) -> None:
    change, words = SPOILED[what]
    rewrite(path, change)
    with pytest.raises(WeightsError, match=rf"net\.pth: .*{words}") as caught:
        find_weights(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_bomb_is_refused_before_it_is_unpacked(path: Path) -> None:
    """Zeros, a thousand times as many as the file has bytes: PyTorch packs nothing, and nothing is unpacked."""
    rewrite(path, lambda name, old: bytes(1 << 26) if name == "data/0" else old, ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(WeightsError, match=r"net\.pth: not as PyTorch writes it, .* is not stored plainly"):
        find_weights(path)


def test_a_text_of_that_name_is_told_from_weights(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_text("the weights will be here soon\n")
    assert sniff(tmp_path / "net.pth") == "not a file of weights"
    with pytest.raises(WeightsError, match=r"net\.pth: not a file of weights; give a run folder"):
        find_weights(tmp_path / "net.pth")


def test_spoiled_bytes_are_an_error_or_the_same_weights(path: Path, probed_weights: Weights) -> None:
    rng, whole = np.random.default_rng(0), np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(300):
        spoiled = whole.copy()
        spoiled[rng.integers(len(whole), size=2)] ^= rng.integers(1, 256, 2, dtype=np.uint8)
        path.write_bytes(spoiled.tobytes())
        with suppress(WeightsError):
            assert_are(find_weights(path), probed_weights)  # where it was a byte of the padding
