import copy
import weakref
from dataclasses import replace

import pytest
import torch
from tests.nn.nets import images_for, run_by_the_book, spec_of
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.arch import find
from alexnet.arch.layers import feature_row
from alexnet.arch.rows import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Dropout,
    Fc,
    Local,
    Lrn,
    MaxPool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
    Tanh,
)
from alexnet.arch.shapes import total_macs, total_params
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import UnknownNameError
from alexnet.nn import Net, build, create

GRAPHS = {
    "relu first": (Relu("relu1"), Conv("conv2", 4, 3), Conv("conv3", 4, 3, inputs=("image",))),
    "relu beside conv": (
        Conv("conv1", 4, 3, padding=1),
        Relu("relu1"),
        Conv("conv2", 4, 3, padding=1, inputs=("conv1",)),
        Relu("both", inputs=("conv1", "conv2", "relu1")),
    ),
    "two relus": (Conv("conv1", 4, 3), Relu("relu1"), Relu("relu2"), Conv("conv2", 4, 3, inputs=("relu2", "relu2"))),
    "relu of tanh": (Conv("conv1", 4, 3), Tanh("tanh1"), Relu("relu1")),
    "relu of dropout that others read around": (
        Conv("conv1", 4, 3),
        Dropout("drop1", scale_at="train"),
        Relu("relu1"),
        Conv("conv2", 4, 1, inputs=("conv1",)),
        MaxPool("pool2", 2, 2, inputs=("relu1", "conv2")),
    ),
    "dense branches": (
        Conv("conv1", 4, 3),
        Relu("relu1"),
        Fc("fc2", 6),
        Relu("relu2"),
        Fc("fc3", 6, inputs=("relu1",)),
        Fc("fc4", 6, groups=2, inputs=("fc3", "relu2")),
        Relu("relu4"),
    ),
    "norms and pools": (
        Conv("conv1", 4, 3),
        Lrn("norm1", groups=2),
        Relu("relu1"),
        SameMapNorm("rnorm2", inputs=("norm1",)),
        Relu("relu2"),
        AvgPool("pool3", 3, 2, inputs=("relu2", "relu1")),
        Relu("relu3"),
        Local("local4", 3, 2),
        Relu("relu4"),
        AdaptiveAvgPool("pool5", 2),
    ),
}


@pytest.mark.parametrize("rows", GRAPHS.values(), ids=GRAPHS)
def test_a_graph_is_run_as_its_rows_say_in_values_and_gradients(rows):
    net = build(spec_of(*rows), seed=0).double().eval()
    images = images_for(net.spec, dtype=torch.float64)
    before, expected = images.clone(), run_by_the_book(net, images)
    parameters = list(net.parameters())
    exact = torch.autograd.grad(expected["fc"].square().sum(), parameters, materialize_grads=True)
    logits = net(images)
    found = torch.autograd.grad(logits.square().sum(), parameters, materialize_grads=True)
    torch.testing.assert_close(logits, expected["fc"])
    torch.testing.assert_close(found, exact)
    assert torch.equal(images, before)
    rows = net.features(images, [f"{row.name}:pre" for row in net.spec.rows])
    torch.testing.assert_close({f"{name}:pre": value for name, value in expected.items() if name != IMAGE}, rows)


def test_a_relu_overwrites_what_nobody_else_needs():
    in_place = {
        name: module.inplace for name, module in create("digits").named_modules() if isinstance(module, nn.ReLU)
    }
    assert in_place == {"relu1": True, "relu2": True, "relu3": True, "relu4": True}


def test_stacked_inputs_of_a_conv_equal_the_sum_of_a_filter_bank_for_each():
    """As the 2012 code reads several inputs."""
    rows = (
        Conv("conv1", 4, 3, padding=1),
        Tanh("tanh1"),
        Conv("conv2", 2, 3, padding=1, inputs=("image",)),
        Conv("conv3", 5, 3, inputs=("tanh1", "conv2")),
    )
    net = build(spec_of(*rows), seed=0)
    images = torch.randn(2, 3, 9, 9)
    values = net.features(images, ["tanh1", "conv2", "conv3"])
    first, second = net.get_submodule("conv3").weight.split([4, 2], 1)
    banks = F.conv2d(values["tanh1"], first) + F.conv2d(values["conv2"], second)
    torch.testing.assert_close(values["conv3"], banks + net.get_submodule("conv3").bias[:, None, None])


GROUPED = Spec(
    name="grouped",
    source="this file",
    input=(3, 18, 18),
    rows=(
        Conv("conv1", 8, 5, stride=2, rounding="ceil"),
        Lrn("norm1", size=3, alpha=0.5, k=2.0, groups=2),
        MaxPool("pool1", 3, 2),
        Relu("relu1"),
        Conv("conv2", 12, 3, padding=1, groups=2),
        Relu("relu2"),
        Lrn("norm2", size=4, alpha=0.5, k=2.0, groups=2),
        SameMapNorm("rnorm2", size=3, alpha=0.5),
        Conv("conv3", 8, 3, padding=1),
        Relu("relu3"),
        Conv("conv4", 8, 3, padding=1, groups=2),
        Relu("relu4"),
        Fc("fc6", 10),
        Relu("relu6"),
        Dropout("drop6"),
        Fc("fc7", 6),
        Relu("relu7"),
        Fc("fc8", 4),
        Softmax("prob"),
    ),
)


def tower(t: str, both: dict[str, tuple[str, ...]]) -> tuple[Row, ...]:
    """One tower of GROUPED as the 2012 files write it; `both` are the rows that read across."""

    def own(name: str, above: str) -> tuple[str, ...]:
        return both.get(name, (above + t,))

    return (
        Conv(f"conv1{t}", 4, 5, stride=2, rounding="ceil", inputs=("image",)),
        Lrn(f"norm1{t}", size=3, alpha=0.5, k=2.0, inputs=own("norm1", "conv1")),
        MaxPool(f"pool1{t}", 3, 2, inputs=own("pool1", "norm1")),
        Relu(f"relu1{t}", inputs=own("relu1", "pool1")),
        Conv(f"conv2{t}", 6, 3, padding=1, inputs=own("conv2", "relu1")),
        Relu(f"relu2{t}", inputs=own("relu2", "conv2")),
        Lrn(f"norm2{t}", size=4, alpha=0.5, k=2.0, inputs=own("norm2", "relu2")),
        SameMapNorm(f"rnorm2{t}", size=3, alpha=0.5, inputs=own("rnorm2", "norm2")),
        Conv(f"conv3{t}", 4, 3, padding=1, inputs=own("conv3", "rnorm2")),
        Relu(f"relu3{t}", inputs=own("relu3", "conv3")),
        Conv(f"conv4{t}", 4, 3, padding=1, inputs=own("conv4", "relu3")),
        Relu(f"relu4{t}", inputs=own("relu4", "conv4")),
        Fc(f"fc6{t}", 5, inputs=own("fc6", "relu4")),
        Relu(f"relu6{t}", inputs=own("relu6", "fc6")),
        Dropout(f"drop6{t}", inputs=own("drop6", "relu6")),
        Fc(f"fc7{t}", 3, inputs=own("fc7", "drop6")),
        Relu(f"relu7{t}", inputs=own("relu7", "fc7")),
    )


def two_towers() -> Spec:
    """The rows of both towers level by level; `fc7b` lists its own tower first, as `fc2048bb` does."""
    across = {"conv3": ("rnorm2a", "rnorm2b"), "fc6": ("relu4a", "relu4b"), "fc7": ("drop6a", "drop6b")}
    a, b = tower("a", across), tower("b", across | {"fc7": ("drop6b", "drop6a")})
    levels = (row for level in zip(a, b, strict=True) for row in level)
    return replace(GROUPED, name="towers", rows=(*levels, Fc("fc8", 4, inputs=("relu7a", "relu7b")), Softmax("prob")))


def merged(towers: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of both towers under the keys and in the layout of GROUPED (facts, section 7)."""
    joined = {key: tensor for key, tensor in towers.items() if key.startswith("fc8")}
    for key in towers:
        row, part = key.split(".")
        if row.endswith("a"):
            name, b = row[:-1], towers[f"{row[:-1]}b.{part}"]
            if key == "fc7a.weight":
                b = torch.cat(b.chunk(2, 1)[::-1], 1)
            joined[f"{name}.{part}"] = torch.cat([towers[key], b])
    return joined


def test_two_towers_equal_the_grouped_net_in_logits_and_gradients():
    towers, grouped = build(two_towers(), seed=0).double().eval(), build(GROUPED).double().eval()
    grouped.load_state_dict(merged(towers.state_dict()))
    images = torch.randn(3, 3, 18, 18, dtype=torch.float64)
    logits, same = towers(images), grouped(images)
    torch.testing.assert_close(logits, same, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(logits)
    for net, result in ((towers, logits), (grouped, same)):
        result.backward(weight)
        assert all(parameter.grad.any() for parameter in net.parameters())
    expected = merged({key: parameter.grad for key, parameter in towers.named_parameters()})
    found = {key: parameter.grad for key, parameter in grouped.named_parameters()}
    torch.testing.assert_close(found, {key: expected[key] for key in found}, rtol=1e-11, atol=1e-12)


def test_two_towers_cost_what_the_grouped_net_costs():
    assert total_params(two_towers()) == total_params(GROUPED)
    assert total_macs(two_towers()) == total_macs(GROUPED)


@pytest.fixture(scope="module")
def digits() -> Net:
    return create("digits", seed=0).eval()


def test_a_feature_is_the_row_after_its_relu_and_before_dropout(digits):
    images = images_for(digits.spec)
    values = run_by_the_book(digits, images)
    found = digits.features(images, ["fc4", "fc4:pre", "conv1", "conv1:pre", "drop4", "relu4", "fc5", "norm1"])
    rows = {"fc4": "relu4", "fc4:pre": "fc4", "conv1": "relu1", "conv1:pre": "conv1", "norm1": "norm1"}
    for layer, value in found.items():
        torch.testing.assert_close(value, values[rows.get(layer, layer)], rtol=0, atol=0)
    assert found["fc4"].min() == 0
    assert found["fc4:pre"].min() < 0
    assert found["conv1:pre"].min() < 0


@pytest.mark.parametrize(
    ("layer", "row"),
    [
        ("conv1", "conv1"),  # its normalization comes first, its ReLU after the pool
        ("pool1", "relu1"),
        ("conv2", "relu2"),
        ("conv5", "conv5"),
        ("pool5", "relu5"),
        ("fc7", "relu7"),
        ("fc7:pre", "fc7"),
        ("relu7", "relu7"),
        ("drop7", "drop7"),
        ("fc8", "fc8"),
        ("prob", "prob"),
    ],
)
def test_names_of_features_in_net_145(layer, row):
    assert feature_row(find("krizhevsky-145"), layer) == row


def test_features_are_tanh_where_the_net_has_tanh():
    assert feature_row(find("digits+tanh"), "fc4") == "relu4"
    net = create("digits+tanh", seed=0)
    found = net.features(images_for(net.spec), ["fc4", "fc4:pre"])
    torch.testing.assert_close(found["fc4"], found["fc4:pre"].tanh())


def test_features_in_any_order_are_those_asked_for(digits):
    images = images_for(digits.spec)
    layers = ["prob", "conv2:pre", "fc5", "conv2", "conv2"]
    found = digits.features(images, layers)
    assert list(found) == ["prob", "conv2:pre", "fc5", "conv2"]
    for layer in layers:
        assert torch.equal(found[layer], digits.features(images, [layer])[layer])
    assert digits.features(images, []) == {}


def test_probabilities_are_the_softmax_of_the_logits_and_sum_to_one(digits):
    images = images_for(digits.spec, 5)
    probs = digits.features(images, ["prob"])["prob"]
    torch.testing.assert_close(probs, digits(images).softmax(1))
    torch.testing.assert_close(probs.sum(1), torch.ones(5))


def test_features_are_copies(digits):
    images = images_for(digits.spec)
    found = digits.features(images, [f"{row.name}:pre" for row in digits.spec.rows])
    kept = {layer: value.clone() for layer, value in found.items()}
    found["conv1:pre"].zero_()
    digits(images)
    del kept["conv1:pre"]
    torch.testing.assert_close({layer: found[layer] for layer in kept}, kept, rtol=0, atol=0)


def test_two_names_of_one_row_are_two_copies(digits):
    found = digits.features(images_for(digits.spec), ["conv1", "relu1"])
    found["conv1"].zero_()
    assert found["relu1"].any()


def test_no_row_above_the_wanted_ones_is_run(digits):
    ran = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, module in digits.named_children()
    ]
    digits.features(images_for(digits.spec), ["conv2", "pool1"])
    assert ran == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2"]
    ran.clear()
    digits(images_for(digits.spec))
    assert ran[-1] == "fc5"
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(
    ("layer", "message"),
    [("fc44", "unknown layer 'fc44'; did you mean fc4"), ("conv9:pre", "unknown layer 'conv9'"), ("image", "'image'")],
)
def test_an_unknown_layer_offers_the_nearest_names(digits, layer, message):
    with pytest.raises(UnknownNameError, match=message):
        digits.features(images_for(digits.spec), ["fc5", layer])


def test_a_value_is_let_go_after_its_last_reader():
    """Tanh in place of ReLU, so that every row gives a tensor of its own."""
    rows = (
        Conv("conv1", 4, 3, padding=1),
        Tanh("tanh1"),
        Conv("conv2", 4, 3, padding=1),
        Tanh("tanh2"),
        Conv("conv3", 4, 3, padding=1, inputs=("tanh1", "tanh2")),
        Tanh("tanh3"),
        AvgPool("pool3", 2, 2),
    )
    net = build(spec_of(*rows), seed=0).eval()
    outputs: dict[str, weakref.ref[Tensor]] = {}
    alive: dict[str, set[str]] = {}

    def look(name: str) -> None:
        alive[name] = {row for row, output in outputs.items() if output() is not None}

    for name, module in net.named_children():
        module.register_forward_pre_hook(lambda *_, name=name: look(name))
        module.register_forward_hook(lambda _, __, y, name=name: outputs.update({name: weakref.ref(y)}))
    with torch.inference_mode():
        net(images_for(net.spec))
    assert alive == {
        "conv1": set(),
        "tanh1": {"conv1"},
        "conv2": {"tanh1"},
        "tanh2": {"tanh1", "conv2"},
        "conv3": {"tanh1", "tanh2"},
        "tanh3": {"conv3"},
        "pool3": {"tanh3"},
        "fc": {"pool3"},
    }


def test_a_net_can_be_copied(digits):
    images = images_for(digits.spec)
    assert torch.equal(copy.deepcopy(digits)(images), digits(images))


def test_rows_may_be_called_as_attributes_of_modules_are():
    """Files of other programs call layers what they like."""
    names = ("features", "forward", "type", "train", "half", "spec")
    rows = [Relu(name) for name in names]
    net = build(Spec("test", "this file", (3, 4, 4), (*rows, Fc("parameters", 2), Softmax("prob"))), seed=0)
    images = torch.rand(2, 3, 4, 4)
    assert net(images).shape == (2, 2)
    assert list(net.state_dict()) == ["parameters.weight", "parameters.bias"]
    torch.testing.assert_close(net.features(images, ["features"])["features"], images)
    assert not net.eval().training
