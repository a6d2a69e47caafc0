"""`torch.hub` on this repository itself."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from alexnet.arch import NETS
from alexnet.errors import WeightsError
from alexnet.weights import Weights, save_weights

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent


def hub(entry: str, *arguments: object, **options: object) -> object:
    return torch.hub.load(str(ROOT), entry, *arguments, source="local", **options)


def test_every_net_is_an_entry_with_words_for_it() -> None:
    """Entries are what `torch.hub.list` would show: whatever can be called and does not begin with an underscore."""
    found = vars(hubconf())
    entries = [name for name, value in found.items() if callable(value) and not name.startswith("_")]
    assert sorted(entries) == sorted(["alexnet", "create", "load", *NETS])
    assert all(found[name].__doc__ for name in entries)
    assert "layers-145.cfg" in found["krizhevsky-145"].__doc__


def hubconf() -> ModuleType:
    spec = spec_from_file_location("hubconf", ROOT / "hubconf.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_new_nets_are_those_of_create() -> None:
    assert hub("digits", num_classes=3).spec == NETS["digits"].with_classes(3)
    assert hub("create", "cifar-18pct+tanh").spec.name == "cifar-18pct+tanh"


def test_trained_nets_have_their_weights(tmp_path: Path, tiny_weights: Weights) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny_weights)
    net = hub("alexnet", weights=str(path))
    assert (net.spec, net.training) == (tiny_weights.spec, False)
    assert net.fc4.bias.tolist() == tiny_weights.tensors["fc4.bias"].tolist()
    assert hub("load", str(path)).classes == tiny_weights.classes
    with pytest.raises(WeightsError, match="holds weights of tiny, not of caffe"):
        hub("caffe", weights=str(path))
    with pytest.raises(WeightsError, match="leave out num_classes"):
        hub("alexnet", weights=str(path), num_classes=3)


def test_nothing_needs_to_be_installed(tmp_path: Path) -> None:
    """The package itself comes from the clone; an isolated Python knows no other."""
    code = (
        "import sys, torch; sys.path = [path for path in sys.path if not path.endswith('src')]; "
        "net = torch.hub.load(sys.argv[1], 'digits', source='local'); print(sys.modules['alexnet'].__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert Path(done.stdout.strip()) == ROOT / "src" / "alexnet" / "__init__.py"
