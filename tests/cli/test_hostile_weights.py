"""What is no weights, or wrong ones, in every format: exit status 2 and one line, which names the file."""

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from tests.fuzz import seeds
from tests.fuzz.caffe_seeds import caffe_net
from tests.weights.conftest import PUBLISHED, narrow

from alexnet.arch import NETS
from alexnet.weights.files import METADATA_KEY, write_metadata
from alexnet.weights.packed import CODES, compress

MANY = 32 << 20  # bytes of nothing but zeros, which pack well


class Code:
    """What a pickle would run if anything ran it."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("was-run"),)  # type: ignore[return-value]


def tensors() -> dict[str, np.ndarray]:
    return seeds.random_tensors(NETS["caffe"].with_classes(3))


def spoiled(key: str, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    found = tensors()
    return found | {key: change(found[key])}


def nan(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, np.nan)


def caffemodel(found: dict[str, np.ndarray]) -> bytes:
    return caffe_net(found, "AlexNet", v1=False)


def wrong_net() -> bytes:
    return caffemodel({"ip.weight": np.ones((2, 3), np.float32), "ip.bias": np.ones(2, np.float32)})


def without_fc8() -> bytes:
    return caffemodel({key: array for key, array in tensors().items() if not key.startswith("fc8")})


def pth(change: Callable[[str, bytes], bytes] = lambda _, content: content, method: int = zipfile.ZIP_STORED) -> bytes:
    """A good .pth file, its members changed and packed in a way."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds.pth()[0]["net.pth"])) as old, zipfile.ZipFile(file, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return file.getvalue()


def of_code(name: str, content: bytes) -> bytes:
    return pickle.dumps({"state_dict": Code()}, 2) if name.endswith(".pkl") else content


def of_zeros(name: str, content: bytes) -> bytes:
    return bytes(MANY) if name.endswith(".pkl") else content


def of_nan(name: str, content: bytes) -> bytes:
    return np.full(len(content) // 4, np.nan, "<f4").tobytes() if name.endswith("/data/0") else content


def safetensors(change: Callable[[dict[str, np.ndarray]], object], seed: bytes) -> bytes:
    found = load(seed)
    change(found)
    return save(found, {METADATA_KEY: write_metadata(seeds.tiny())})


def plain(change: Callable[[dict[str, np.ndarray]], object]) -> bytes:
    return safetensors(change, seeds.safetensors()[0]["tiny.safetensors"])


def packed(change: Callable[[dict[str, np.ndarray]], object]) -> bytes:
    return safetensors(change, seeds.packed()[0]["small.safetensors"])


def bomb(found: dict[str, np.ndarray]) -> None:
    found["fc3.weight" + CODES] = np.frombuffer(compress(bytes(MANY)), np.uint8)


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", content)
    return file.getvalue()


def compressed() -> bytes:
    return seeds.compressed()[0]["small.net"]


def onnx() -> bytes:
    return seeds.onnx()[0]["net.onnx"]


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a text": ("net.pth", lambda: b"these are no weights\n", "not a file of weights"),
    "nothing": ("net.pth", lambda: b"", "an empty file"),
    "wrong net": ("a.caffemodel", wrong_net, "not weights of caffe: missing"),
    "missing layer": ("a.caffemodel", without_fc8, "missing fc8.weight, fc8.bias"),
    "transposed": ("a.caffemodel", lambda: caffemodel(spoiled("fc6.weight", np.transpose)),
                   "of another shape fc6.weight"),
    "NaN": ("a.caffemodel", lambda: caffemodel(spoiled("conv2.bias", nan)), "NaN or infinity in conv2.bias"),
    "code in a .pth": ("a.pth", lambda: pth(of_code), "refused, nothing was run"),
    "NaN in a .pth": ("a.pth", lambda: pth(of_nan), "NaN or infinity"),
    "packed .pth": ("a.pth", lambda: pth(method=zipfile.ZIP_DEFLATED), "is not stored plainly"),
    "bomb in a .pth": ("a.pth", lambda: pth(of_zeros, zipfile.ZIP_DEFLATED),
                       "no data.pkl of a state dict"),
    "code in a checkpoint": ("91.1", lambda: pickle.dumps({"model_state": Code()}, 2), "refused, nothing was run"),
    "gzip bomb": ("91.1", lambda: gzip.compress(bytes(MANY)), "which no weights do; refused"),
    "zip bomb": ("91.1", lambda: zipped(bytes(MANY)), "which no weights do; refused"),
    "no checkpoint": ("91.1", lambda: pickle.dumps([1, 2], 2), "no checkpoint of cuda-convnet"),
    "LZMA bomb": ("a.safetensors", lambda: packed(bomb), "cut short or too long"),
    "missing tensor": ("a.safetensors", lambda: plain(lambda found: found.pop("fc4.bias")), "missing fc4.bias"),
    "odd name": ("a.safetensors", lambda: plain(lambda found: found.update({"a\nb\x1b[2J": np.zeros(1)})),
                 "unknown a b [2J"),
    "cut .net": ("a.net", lambda: compressed()[:-1], "not a file of weights"),
    "cut .onnx": ("a.onnx", lambda: onnx()[: len(onnx()) // 2], "cut short"),
    "alone .xml": ("a.xml", lambda: seeds.openvino()[0]["net.xml"], "its tensors are missing"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_weights_are_one_line(what: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for net in PUBLISHED:
        monkeypatch.setitem(NETS, net, narrow(NETS[net]))
    monkeypatch.chdir(tmp_path)
    name, content, words = HOSTILE[what]
    Path(name).write_bytes(content())
    finished = run("verify", name)
    assert finished.status == 2
    assert words in finished.error
    assert name in finished.error
    assert not Path("was-run").exists()


def test_a_hostile_definition_is_one_line(run, tmp_path: Path) -> None:
    path = tmp_path / "net.cfg"
    path.write_text("[a]\n" + "\n".join(["k0=x", *(f"k{n + 1}=" + f"%(k{n})s" * 10 for n in range(10))]))
    finished = run("summary", path)
    assert finished.status == 2
    assert "its references make it longer" in finished.error
