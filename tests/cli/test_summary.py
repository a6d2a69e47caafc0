from pathlib import Path

import pytest

from alexnet.arch import NETS


@pytest.mark.parametrize("net", [*NETS, "krizhevsky-145+no-lrn", "caffe+half+tanh"])
def test_json_has_exactly_the_published_keys(run, net: str) -> None:
    shown = run("summary", net, "--json").json
    assert list(shown) == ["name", "source", "input", "rows", "params", "macs", "neurons"]
    assert shown["name"] == net
    for row in shown["rows"]:
        assert list(row) == [
            *("name", "kind", "inputs", "output"),
            *("kernel_size", "stride", "padding", "groups"),
            *("params", "macs", "neurons"),
        ]
        assert len(row["output"]) == 3
    for key in ("params", "macs", "neurons"):
        assert shown[key] == sum(row[key] for row in shown["rows"])


def test_json_says_what_a_row_reads(run) -> None:
    rows = run("summary", "krizhevsky-145", "--json").json["rows"]
    assert [row["inputs"] for row in rows[:2]] == [["image"], ["conv1"]]


def test_the_table_is_for_the_asked_batch(run) -> None:
    status, shown, errors = run("summary", "digits", "--batch-size", "32")
    assert (status, errors) == (0, "")
    assert "batch of 32" in shown
    assert "181,130" in shown


def test_an_undefined_ablation_is_one_line(run) -> None:
    finished = run("summary", "digits+half")
    assert finished.status == 2
    assert "half is defined for the two-tower nets" in finished.error
    assert "did you mean no-lrn" in run("summary", "caffe+nolrn").error


NET_145 = Path(__file__).parents[1] / "interop/cuda_convnet/nets/layers-145.cfg"


@pytest.mark.parametrize("net", ["krizhevsky-145", NET_145])
def test_images_may_be_of_another_size(run, net: str | Path) -> None:
    """Of a named net, and of a definition of 2012, which says nothing of it."""
    assert run("summary", net, "--json").json["input"] == [3, 224, 224]
    shown = run("summary", net, "--input-size", "180", "--json").json
    assert shown["input"] == [3, 180, 180]
    assert shown["params"] == 60_965_224 - 4096 * 256 * (6 * 6 - 5 * 5)  # fc6 reads 5 x 5
    finished = run("summary", net, "--input-size", "10")
    assert (finished.status, finished.stdout) == (2, "")


PROTOTXT = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 20 input_dim: 20
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc2" type: "InnerProduct" bottom: "conv1" top: "fc2" inner_product_param { num_output: OUT } }
"""


def test_a_definition_of_caffes_is_a_net(run, tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    path = tmp_path / "small.prototxt"
    path.write_text(PROTOTXT.replace("OUT", "4"), encoding="utf-8")
    shown = run("summary", path, "--json").json
    assert [row["name"] for row in shown["rows"]] == ["conv1", "relu1", "fc2", "prob"]
    assert shown["params"] == 8 * 28 + 4 * (8 * 18 * 18 + 1)
    assert run("summary", path, "--input-size", "20", "--json").json == shown
    assert "says that its images have 20 x 20 pixels, not 24" in run("summary", path, "--input-size", "24").error
    path.write_text(PROTOTXT.replace("OUT", "0"), encoding="utf-8")
    finished = run("summary", path)
    assert (finished.status, finished.stdout) == (2, "")
    assert finished.error.endswith("small.prototxt, layer fc2, inner_product_param.num_output: 0 is too small")
