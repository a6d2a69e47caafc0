from contextlib import suppress
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from alexnet.errors import InputError
from alexnet.interop import onnx as ours
from alexnet.interop.onnx import Graph, Node, Place, Value, read_graph, read_texts, write_graph

FLOAT32 = np.dtype("<f4")
TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "number": np.array(0.5, np.float32),
    "shape": np.array([0, -1]),
    "levels": np.array([[-128, 127]], np.int8),
    "points": np.array([255], np.uint8),
    "offsets": np.array([-(2**31)], np.int32),
    "nothing": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def graph() -> Graph:
    attributes = {"axis": -1, "alpha": 0.5, "mode": "linear", "pads": (0, 1, 2), "scales": (0.5, 1.5)}
    return Graph(
        name="small",
        nodes=(
            Node("Mul", ("images", "number"), ("scaled",), "scaled"),
            Node("Sum", ("scaled", ""), ("logits",), "sum", attributes),
        ),
        initializers=TENSORS,
        inputs=(Value("images", FLOAT32, ("N", 3)),),
        outputs=(Value("logits", FLOAT32, ("N", 3)),),
        metadata={"alexnet": '{"a": "ä"}', "empty": ""},
    )


def assert_equal(found: Graph, expected: Graph) -> None:
    for name, array in expected.initializers.items():
        assert (found.initializers[name].dtype, found.initializers[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found.initializers[name], array)
    assert found.initializers.keys() == expected.initializers.keys()
    assert replace(found, initializers={}) == replace(expected, initializers={})


def test_a_graph_is_read_as_it_was_written(graph: Graph) -> None:
    assert_equal(read_graph(graph.serialize()), graph)


def test_the_onnx_package_reads_what_we_write(graph: Graph) -> None:
    model = onnx.load_from_string(graph.serialize())
    assert {each.name: each.type for each in model.graph.node[1].attribute} == {
        "axis": onnx.AttributeProto.INT,
        "alpha": onnx.AttributeProto.FLOAT,
        "mode": onnx.AttributeProto.STRING,
        "pads": onnx.AttributeProto.INTS,
        "scales": onnx.AttributeProto.FLOATS,
    }
    for tensor in model.graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), TENSORS[tensor.name])
    assert {each.key: each.value for each in model.metadata_props} == graph.metadata
    assert [side.dim_param or side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim] == ["N", 3]


def test_we_read_what_the_onnx_package_writes(graph: Graph) -> None:
    """Which orders the fields by number, and spells short lists one by one."""
    again = onnx.load_from_string(graph.serialize()).SerializeToString()
    assert_equal(read_graph(again), graph)


def test_tensors_are_not_copied_on_the_way(graph: Graph) -> None:
    weight = graph.initializers["weight"]
    parts = write_graph(graph)
    assert any(
        isinstance(part, memoryview) and np.shares_memory(np.frombuffer(part, np.uint8), weight) for part in parts
    )
    content = b"".join(parts)
    read = read_graph(content).initializers["weight"]
    assert np.shares_memory(read, np.frombuffer(content, np.uint8))


def test_floats_lie_where_processors_like_them(graph: Graph) -> None:
    """At multiples of four, whatever stands before them and however long names are."""
    for name in ("s", "smal", "small", "a name of some more letters"):
        content = np.frombuffer(replace(graph, name=name, metadata={name: name}).serialize(), np.uint8)
        read = read_graph(content.data)
        for key in ("weight", "number"):
            assert (read.initializers[key].ctypes.data - content.ctypes.data) % 4 == 0


def test_tensors_elsewhere_are_named_by_file_offset_and_length(graph: Graph) -> None:
    model = onnx.load_from_string(b"".join(write_graph(graph, elsewhere={"weight": Place("w.bin", 4096, 24)})))
    [tensor] = [each for each in model.graph.initializer if each.name == "weight"]
    assert tensor.data_location == TensorProto.EXTERNAL
    assert {each.key: each.value for each in tensor.external_data} == {
        "location": "w.bin",
        "offset": "4096",
        "length": "24",
    }
    assert not tensor.raw_data


def test_a_graph_too_large_for_the_format_is_refused(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="whose files end at 100"):
        graph.serialize()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_part_of_a_file_is_refused(graph: Graph, share: float) -> None:
    content = replace(graph, metadata={}).serialize()
    with pytest.raises(InputError, match=r"cut short|not a whole ONNX file"):
        read_graph(content[: int(share * len(content))])


def model_with(**changes: object) -> bytes:
    """A small model of the onnx package, with another tensor or node."""
    weight = changes.get("tensor") or numpy_helper.from_array(TENSORS["weight"], "weight")
    node = changes.get("node") or helper.make_node("Relu", ["images"], ["logits"])
    image = helper.make_tensor_value_info("images", changes.get("dtype") or TensorProto.FLOAT, ["N", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])
    model = helper.make_model(helper.make_graph([node], "g", [image], [logits], [weight]))
    return bytes(model.SerializeToString())


def external() -> TensorProto:
    tensor = TensorProto(name="weight", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


FOREIGN = {
    "tensor elsewhere": ({"tensor": external()}, "kept in another file"),
    "tensor not raw": (
        {"tensor": helper.make_tensor("weight", TensorProto.FLOAT, [2], [1.0, 2.0])},
        "not stored as raw",
    ),
    "tensor of halves": ({"tensor": numpy_helper.from_array(np.zeros(2, np.float16), "weight")}, "ONNX type 10"),
    "tensor too short": (
        {"tensor": TensorProto(name="weight", dims=[1 << 40, 1 << 40], data_type=1, raw_data=b"1234")},
        "4 bytes: damaged",
    ),
    "tensor of many sides": (
        {"tensor": TensorProto(name="weight", dims=[1] * 65, data_type=1, raw_data=b"1234")},
        "has 65 sides",
    ),
    "tensor of negative size": (
        {"tensor": TensorProto(name="weight", dims=[-1, -1], data_type=1, raw_data=b"1234")},
        "4 bytes: damaged",
    ),
    "graph in an attribute": (
        {"node": helper.make_node("If", ["images"], ["logits"], then_branch=helper.make_graph([], "g", [], []))},
        "'then_branch' is of type 5",
    ),
    "operation of another domain": ({"node": helper.make_node("X", ["images"], ["logits"], domain="com.x")}, "com.x"),
    "input of words": ({"dtype": TensorProto.STRING}, "ONNX type 8"),
}


def test_texts_are_read_whatever_the_graph_is_made_of(graph: Graph) -> None:
    model = onnx.load_from_string(graph.serialize())
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float16), "halves"))
    assert read_texts(model.SerializeToString()) == graph.metadata


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_read_here_is_said_in_one_line(what: str) -> None:
    changes, words = FOREIGN[what]
    with pytest.raises(InputError) as caught:
        read_graph(model_with(**changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_spoiled_bytes_never_do_worse_than_an_error(graph: Graph) -> None:
    rng, content = np.random.default_rng(0), np.frombuffer(graph.serialize(), np.uint8)
    for _ in range(1000):
        spoiled = content.copy()
        spoiled[rng.integers(len(content), size=3)] = rng.integers(0, 256, 3)
        with suppress(InputError):
            read_graph(spoiled.tobytes())
