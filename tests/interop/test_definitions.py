from pathlib import Path

import pytest

from alexnet.arch.rows import Conv
from alexnet.arch.shapes import total_params
from alexnet.errors import InputError
from alexnet.interop.definitions import FORMATS, format_of

CAFFE = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 10 } }
"""
CUDA_CONVNET = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv]
type=conv
inputs=data
channels=3
filters=16
filterSize=3
padding=1
initW=0.1
[fc]
type=fc
inputs=conv
outputs=10
initW=0.1
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""
TEXTS = {".prototxt": CAFFE, ".cfg": CUDA_CONVNET}


@pytest.fixture(params=TEXTS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".prototxt":
        pytest.importorskip("google.protobuf")
    path = tmp_path / f"small{request.param}"
    path.write_text(TEXTS[request.param], encoding="utf-8")
    return path


def test_every_suffix_has_a_reader(path: Path) -> None:
    assert TEXTS.keys() == FORMATS.keys()
    found = format_of(str(path))
    assert found
    spec = found.read_net(path, None, None).spec
    assert spec.input == (3, 32, 32)
    assert spec.rows[0] == Conv("conv", 16, 3, padding=1, weight_std=0.1, bias_init=0.0)
    assert total_params(spec) == total_params(found.read_spec(path, None)) == 16 * 28 + 10 * (16 * 32 * 32 + 1)


def test_other_names_are_no_files() -> None:
    assert [format_of(name) for name in (None, "", "caffe", "caffe+half", "net.onnx")] == [None] * 5


def test_a_parameter_file_belongs_to_its_own_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p\.cfg is the parameter file of a \.cfg net, and .*net\.prototxt is none"):
        FORMATS[".prototxt"].read_net(tmp_path / "net.prototxt", tmp_path / "p.cfg", None)
