"""What every test gets: a cache of its own, quiet and repeatable torch, and the real images where there are some."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from alexnet.weights import Weights

ROOT = Path(__file__).resolve().parent.parent
# On a laptop and a server alike: two threads, or one in each of several workers (make test), which hinder each other.
THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # torch reads it when it is first imported, subprocesses too
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait hinder each other elsewhere
os.environ["ALEXNET_KEEP_MEMORY"] = "0"  # what one test tells the C library would hold for all after it
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C, which tests press


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`$ALEXNET_CACHE` of this session, empty at its start: tests share what they compute, not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ALEXNET_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _repeatable_torch() -> None:
    """The same seed and threads before each test; a torch not loaded yet starts with a fixed seed by itself."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
        torch.set_num_threads(THREADS)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images: `$ALEXNET_TEST_DATA`, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("ALEXNET_TEST_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is not a folder; set ALEXNET_TEST_DATA")
    return folder


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer to draw than small runs to train."""
    monkeypatch.setattr("alexnet.train.epochs.draw_curves", lambda *_: None)


@pytest.fixture
def tiny_weights() -> "Weights":
    """Random weights of a small net: 12-pixel crops of 16-pixel canvases, six classes, a mean image."""
    import numpy as np

    from alexnet.arch.rows import Conv, Dropout, Fc, Lrn, MaxPool, Relu, Softmax
    from alexnet.arch.spec import Spec
    from alexnet.data.splits import ClassInfo
    from alexnet.preprocess import Preprocessing
    from alexnet.weights import Weights
    from alexnet.weights.check import tensor_shapes

    rows = (
        Conv("conv1", 8, 3),
        Relu("relu1"),
        Lrn("norm1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 8, 3, padding=1, groups=2),
        Relu("relu2"),
        Fc("fc3", 16),
        Relu("relu3"),
        Dropout("drop3"),
        Fc("fc4", 6),
        Softmax("prob"),
    )
    spec = Spec(name="tiny", source="a test", input=(3, 12, 12), rows=rows)
    rng = np.random.default_rng(0)
    names = ("red", "green", "blue", "cyan", "magenta", "yellow")
    return Weights(
        spec=spec,
        classes=tuple(ClassInfo(index, name) for index, name in enumerate(names)),
        preprocessing=Preprocessing(
            resize=16, crop=12, mean_image=rng.uniform(90, 150, (3, 16, 16)).astype(np.float32)
        ),
        tensors={key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in tensor_shapes(spec).items()},
    )


@pytest.fixture
def probed_weights(tiny_weights: "Weights") -> "Weights":
    """The same with a probe, as training saves them."""
    from alexnet.verify import probe_logits
    from alexnet.weights import make_probe

    return replace(tiny_weights, probe=make_probe(tiny_weights, probe_logits(tiny_weights)))
