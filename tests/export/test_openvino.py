import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest

from alexnet.arch import find
from alexnet.arch.rows import Conv
from alexnet.engines.signals import kept_signal_stack
from alexnet.errors import InputError
from alexnet.export import openvino as exported
from alexnet.export.onnx import onnx_graph
from alexnet.export.openvino import save_openvino, to_openvino
from alexnet.preprocess import normalize
from alexnet.weights import Weights


def test_a_stranger_runs_the_file(tmp_path: Path, tiny_weights: Weights) -> None:
    """With OpenVINO alone, on pixels and on normalized floats."""
    from alexnet.engines.torch import TorchEngine

    crops = np.random.default_rng(0).integers(0, 256, (3, 3, 12, 12), dtype=np.uint8)
    expected = TorchEngine(tiny_weights, "cpu").logits(crops)
    for uint8_input, images in ((True, crops), (False, normalize(crops, tiny_weights.preprocessing))):
        save_openvino(tmp_path / "net.xml", tiny_weights, uint8_input=uint8_input)
        with kept_signal_stack():
            compiled = openvino.compile_model(tmp_path / "net.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        np.testing.assert_allclose(compiled(images)["logits"], expected, rtol=1e-4, atol=1e-4)


def test_towers_need_no_split(weights_of: Callable[..., Weights]) -> None:
    """Which OpenVINO is slow at: the reason for them."""
    spec = find("krizhevsky-145", num_classes=4)
    narrow = {row.name: replace(row, out_channels=row.out_channels // 8) for row in spec.rows if isinstance(row, Conv)}
    model = to_openvino(onnx_graph(weights_of(spec.with_rows(narrow).with_input(67))))
    kinds = {node.get_type_name() for node in model.get_ordered_ops()}
    assert "GroupConvolution" not in kinds
    assert not kinds & {"Split", "VariadicSplit"}


def test_another_suffix_is_refused(tmp_path: Path, tiny_weights: Weights) -> None:
    with pytest.raises(InputError, match=r"give NAME\.xml"):
        save_openvino(tmp_path / "net.bin", tiny_weights)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_not_made(tmp_path: Path, tiny_weights: Weights) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        save_openvino(tmp_path / "nowhere/net.xml", tiny_weights)
    assert caught.value.filename == str(tmp_path / "nowhere/net.xml")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_both_files_as_they_were(
    tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.xml"
    save_openvino(path, tiny_weights)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    class Full:
        def serialize(self, model: object, xml: str, tensors: str) -> None:
            Path(xml).write_text("half")
            Path(tensors).write_text("half")
            raise RuntimeError("no space left\non device")

    monkeypatch.setattr(exported, "to_openvino", lambda graph: None)
    monkeypatch.setattr(exported, "load_openvino", Full)
    with pytest.raises(OSError, match=r"net\.xml: cannot be written; is there room on the disk\? \(on device\)"):
        save_openvino(path, tiny_weights)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_files_are_readable_by_whom_the_umask_lets(tmp_path: Path, tiny_weights: Weights) -> None:
    save_openvino(tmp_path / "net.xml", tiny_weights)
    umask = os.umask(0)
    os.umask(umask)
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o666 & ~umask}


def test_the_import_is_reported_to_nobody() -> None:
    code = (
        "from alexnet.export.openvino import load_openvino; load_openvino(); import sys; "
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
