"""Who may import whom, read from the source; and what the first moment loads, seen from outside."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "alexnet"

# A room imports what stands before it, line by line and from left to right; nothing else of this package.
# `alexnet` is the public face, for rooms that use the package as its users do.
LEVELS = (
    "errors defaults spans atomic cores lock memory arch recipes",
    "data metrics interop describe nn",
    "weights",
    "export engines",
    "predict evaluate features parts similar verify convert pictures",
    "train",
    "compress",
    "alexnet",
    "experiments explore",
    "cli",
)
ORDER = " ".join(LEVELS).split()
ONE_ROOM = {"preprocess": "data"}  # the part of data that travels with weights: a file beside its folder
EXEMPT = {"__init__", "__main__"}  # the face loads its names when they are used; the other starts cli

TORCH_FREE = {"errors", "defaults", "spans", "atomic", "cores", "lock", "memory", "arch", "recipes"}
TORCH_FREE |= {"data", "metrics", "interop", "describe", "weights", "export"}
TORCH = {"torch", "torchvision", "torchaudio", "safetensors.torch", "onnx2torch", "timm"}
BANNED = {
    "data": {"arch", "nn"},  # data knows no network
    "explore": {"experiments"},  # only cli, which lists and runs the claims, may know them
}

# What an extra brings; and what the core has, but needs only for images and weights.
OPTIONAL = {"torch", "torchvision", "sklearn", "scipy", "skimage", "matplotlib", "onnx", "onnxruntime", "openvino"}
OPTIONAL |= {
    "simplejpeg",
    "google",
    "pooch",
    "pyarrow",
    "requests",
    "huggingface_hub",
}  # google.protobuf; requests: with pooch
NOT_AT_START = OPTIONAL | {"numpy", "PIL", "safetensors"}

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    """`alexnet.data.folder` for its file; a package's `__init__` has the package's name."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """The room of a dotted name: `data` for `alexnet.data.folder`, `alexnet` for the face itself."""
    parts = name.split(".")
    room = parts[1] if len(parts) > 1 else parts[0]
    return ONE_ROOM.get(room, room)


def is_module(name: str) -> bool:
    """Is it a file, a folder or a room of this package, and not a name in one of them?"""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir() or name in {f"alexnet.{room}" for room in ORDER}


def imports(source: str, name: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything `source` imports, wherever the statement stands.

    `from a import b` gives `a.b` where that may be a module. `import_module("...")` counts where the name is a literal.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".")
                here = here[: len(here) - node.level + is_package]
                base = ".".join([*here, base] if base else here)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full == "alexnet.__version__":  # loads nothing
                    continue
                ours = base.split(".")[0] == PACKAGE.name
                yield node.lineno, full if not ours or is_module(full) else base
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def offences(source: str, name: str, is_package: bool = False) -> Iterator[str]:
    """What `source`, the module `name`, imports against the rules above."""
    room = room_of(name)
    for line, imported in imports(source, name, is_package):
        where = f"{name}:{line} imports {imported}"
        if imported.split(".")[0] != PACKAGE.name:
            if room in TORCH_FREE and any(f"{imported}.".startswith(f"{banned}.") for banned in TORCH):
                yield f"{where}: {room} never imports torch"
            continue
        target = room_of(imported)
        if target == room:
            continue
        if target not in ORDER:
            yield f"{where}: no such room"
        elif ORDER.index(target) > ORDER.index(room):
            yield f"{where}: {target} stands above {room}"
        elif target in BANNED.get(room, ()):
            yield f"{where}: {room} never imports {target}"
        elif room in TORCH_FREE and target not in TORCH_FREE:
            yield f"{where}: {room} needs no torch, {target} does"


def test_every_room_has_its_place() -> None:
    """A new room is placed on purpose: in LEVELS, and in TORCH_FREE if it is."""
    rooms = {room_of(f"alexnet.{entry.stem}") for entry in PACKAGE.iterdir() if holds_python(entry)}
    assert rooms - EXEMPT <= set(ORDER)


def holds_python(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry.is_dir() and any(entry.rglob("*.py")))


def test_rooms_import_only_downward() -> None:
    found = [
        offence
        for file in FILES
        if file.parent != PACKAGE or file.stem not in EXEMPT
        for offence in offences(file.read_text("utf-8"), name_of(file), file.stem == "__init__")
    ]
    assert not found, "\n" + "\n".join(found)


def test_no_two_files_import_each_other() -> None:
    """Within a room any file may import any other, as long as there is one to begin with."""
    needs = {name_of(file): set[str]() for file in FILES if file.parent != PACKAGE or file.stem not in EXEMPT}
    for file in FILES:
        if (name := name_of(file)) in needs:
            found = imports(file.read_text("utf-8"), name, file.stem == "__init__")
            needs[name] = {imported for _, imported in found if imported in needs and imported != name}
    while free := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in free}
    assert not needs, f"these import each other in a circle: {', '.join(sorted(needs))}"


@pytest.mark.parametrize(
    ("name", "source", "word"),
    [
        ("alexnet.arch.spec", "import alexnet.nn.build", "above"),
        ("alexnet.arch.spec", "def f():\n    from alexnet.nn import build", "above"),
        ("alexnet.arch.spec", "from alexnet import nn", "above"),
        ("alexnet.arch.spec", "from ..nn import build", "above"),
        ("alexnet.nn.build", "if TYPE_CHECKING:\n    from alexnet.train.sgd import SGD", "above"),
        ("alexnet.train.loop", "import alexnet.cli", "above"),
        ("alexnet.train.loop", "import_module('alexnet.experiments')", "above"),
        ("alexnet.train.loop", "from alexnet import create", "above"),
        ("alexnet.explore.server", "from alexnet import experiments", "experiments"),
        ("alexnet.data.folder", "from alexnet.arch.spec import Spec", "never imports arch"),
        ("alexnet.preprocess", "from alexnet.arch.spec import Spec", "never imports arch"),
        ("alexnet.weights.files", "from alexnet.nn import build", "needs no torch"),
        ("alexnet.weights.files", "from safetensors.torch import load", "never imports torch"),
        ("alexnet.weights.files", "from safetensors import torch", "never imports torch"),
        ("alexnet.interop.caffe", "def f():\n    import torch.nn", "never imports torch"),
        ("alexnet.arch.spec", "import alexnet.kitchen", "no such room"),
    ],
)
def test_a_wrong_import_is_found(name: str, source: str, word: str) -> None:
    [offence] = offences(source, name)
    assert word in offence


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("alexnet.arch.shapes", "from alexnet.arch.spec import Spec\nfrom alexnet.errors import SpecError"),
        ("alexnet.data.loader", "from alexnet.preprocess import Preprocessing"),
        ("alexnet.engines.torch", "import torch\nfrom alexnet.nn import build"),
        ("alexnet.weights.files", "from safetensors.numpy import load"),
        ("alexnet.train.checkpoint", "from alexnet import __version__"),
        ("alexnet.cli.claims", "import alexnet\nfrom alexnet import experiments"),
    ],
)
def test_a_right_import_passes(name: str, source: str) -> None:
    assert list(offences(source, name)) == []


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that `python ARGUMENTS` loads, in a process of its own."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    times = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    messages = [line for line in done.stderr.splitlines() if line not in times]
    assert done.returncode == 0, "\n".join(messages)
    return {line.rpartition("|")[2].strip().split(".")[0] for line in times}


@pytest.mark.parametrize(
    "arguments", [("-c", "import alexnet; dir(alexnet)"), ("-m", "alexnet", "--help")], ids=["import", "help"]
)
def test_nothing_heavy_is_loaded_at_the_start(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "alexnet" in loaded
    assert not loaded & NOT_AT_START


def test_prediction_loads_no_optional_dependency() -> None:
    """The small install has neither torch nor any other extra: only opening an engine may ask for one."""
    rooms = ("engines", "predict", "evaluate", "features", "similar", "verify", "convert")
    entrances = {f"alexnet.{room}" for room in rooms} | {"alexnet.parts.tables", "alexnet.parts.evaluation"}
    names = {name_of(file) for file in FILES}
    free = {name for name in names if room_of(name) in TORCH_FREE} | (names & entrances)
    assert not loaded_by("-c", "\n".join(f"import {name}" for name in sorted(free))) & OPTIONAL
