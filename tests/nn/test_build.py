import copy
import subprocess
import sys
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck
from torch.nn import functional as F

from alexnet.arch import ABLATIONS, NETS, find
from alexnet.arch.rows import (
    ROW_TYPES,
    AdaptiveAvgPool,
    AvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Local,
    Logistic,
    Lrn,
    MaxPool,
    Mirror,
    RandomPool,
    Relu,
    Row,
    SameMapNorm,
    Select,
    Softmax,
    Subsample,
    Sum,
    Tanh,
)
from alexnet.arch.shapes import measure, total_macs, total_params
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError, UnknownNameError
from alexnet.nn import Net, assemble, build, create
from alexnet.nn.build import build_row, feature_row


def every_net() -> list[str]:
    names = list(NETS)
    for net in NETS:
        for ablation in ABLATIONS:
            try:
                names.append(find(f"{net}+{ablation}").name)
            except SpecError:
                continue
    return names


def spec_of(*rows: Row, size: int = 9) -> Spec:
    return Spec("test", "this file", (3, size, size), (*rows, Fc("fc", 4), Softmax("prob")))


def images_for(spec: Spec, n: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, *spec.input, dtype=dtype) * 50


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


# What every net does.


@pytest.mark.parametrize("name", every_net())
def test_every_row_has_the_measured_output_and_weights(name):
    spec = find(name)
    with FakeTensorMode():  # shapes alone: nothing is drawn or multiplied
        net = build(spec)
        images = torch.empty(2, *spec.input)
        rows = net.features(images, [f"{row.name}:pre" for row in spec.rows])
        assert net(images).shape == (2, spec.num_classes)
    flat = False
    for shape in measure(spec):
        flat = flat or isinstance(shape.row, Fc)
        assert rows[f"{shape.row.name}:pre"].shape[1:] == (shape.output[:1] if flat else shape.output)
        sizes = {key: tuple(tensor.shape) for key, tensor in net.get_submodule(shape.row.name).named_parameters()}
        assert sizes == ({"weight": shape.weight, "bias": shape.bias} if shape.weight else {})
    assert sum(tensor.numel() for tensor in net.parameters()) == total_params(spec)


SMALLEST = {"krizhevsky-145": 36, "paper-2012": 36, "caffe": 39, "caffenet": 39, "one-weird-trick": 63}


@pytest.mark.parametrize("name", NETS)
def test_a_gradient_reaches_every_weight(name):
    net = create(name, input_size=SMALLEST.get(name), seed=0)
    images = images_for(net.spec, 4)
    F.cross_entropy(net(images), torch.arange(4)).backward()
    silent = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SMALLEST else []) for name in NETS]
)
def test_one_small_batch_is_overfitted(name):
    """Without dropout. Adam, so that the tiny initial weights of 2012 need no thousands of steps."""
    net = create(name, num_classes=4, input_size=SMALLEST.get(name), seed=0).eval()
    images, labels = images_for(net.spec, 8), torch.arange(8) % 4
    optimizer = torch.optim.Adam(net.parameters(), 1e-4 if name in SMALLEST else 1e-3, fused=True)
    for _ in range(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        if loss < 0.05:
            break
        loss.backward()
        optimizer.step()
    assert loss < 0.05


EIGHT_ROWS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
KEYS = {
    "krizhevsky-145": EIGHT_ROWS,
    "paper-2012": EIGHT_ROWS,
    "caffe": EIGHT_ROWS,
    "caffenet": EIGHT_ROWS,
    "one-weird-trick": EIGHT_ROWS,
    "cifar-80sec": ("conv1", "conv2", "conv3", "fc64", "fc10"),
    "cifar-18pct": ("conv1", "conv2", "conv3", "fc10"),
    "cifar-13pct": ("conv1", "conv2", "local3", "local4", "fc10"),
    "cifar-11pct": ("conv1", "conv2", "local3", "local4", "fc10"),
    "cifar-relu": ("conv1", "conv2", "conv3", "fc10"),
    "cifar-towers": ("conv1", "conv2", "conv3", "fc10"),
    "digits": ("conv1", "conv2", "conv3", "fc4", "fc5"),
}


@pytest.mark.parametrize("name", NETS)
def test_state_dict_keys_are_the_written_list(name):
    with FakeTensorMode():
        net = create(name)
    assert list(net.state_dict()) == [f"{row}.{part}" for row in KEYS[name] for part in ("weight", "bias")]


# A graph is run as its rows say.


def run_by_the_book(net: Net, images: Tensor) -> dict[str, Tensor]:
    """Every row on its own, nothing in place, nothing let go."""
    values = {IMAGE: images.clone()}
    for row in net.spec.rows:
        module = net.get_submodule(row.name)
        whole = torch.cat([values[name] for name in net.spec.inputs_of(row)], 1)
        values[row.name] = F.relu(whole) if isinstance(row, Relu) else module(whole.clone())
    return values


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


# One module a kind of row.

ROWS = [
    Conv("row", 4, 3, stride=2, padding=1),
    Conv("row", 4, 3, stride=2, groups=2, rounding="ceil"),
    Local("row", 2, 3, stride=2, rounding="ceil"),
    Fc("row", 4),
    Fc("row", 4, groups=2),
    Lrn("row", groups=2),
    Lrn("row", size=4, alpha=0.5, beta=0.6, alpha_over_size=False),
    SameMapNorm("row", size=2, alpha=0.5),
    ContrastNorm("row", size=3, alpha=0.5),
    MaxPool("row", 3, 2),
    MaxPool("row", 2, 3, rounding="floor"),
    AvgPool("row", 3, 2),
    RandomPool("row", 2, 2),
    AdaptiveAvgPool("row", 3),
    Relu("row"),
    Tanh("row"),
    Logistic("row"),
    Concat("row", inputs=(IMAGE,)),
    Sum("row", inputs=(IMAGE,), coefficients=(-0.5,)),
    Select("row", (3, 0, 3)),
    Blur("row", 3, 1.0),
    Subsample("row", 2),
    Mirror("row"),
    Dropout("row"),
    Dropout("row", scale_at="train"),
    Softmax("row"),
]


def test_every_kind_of_row_is_below():
    assert {row.kind for row in ROWS} == set(ROW_TYPES)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_row_has_its_measured_shape_and_the_right_gradient(row, size):
    spec = Spec("test", "this file", (4, size, size), (row, Fc("fc", 2), Softmax("prob")))
    shape = measure(spec)[0]
    module = build_row(shape).double().eval()
    x = torch.randn(1, *spec.input, dtype=torch.float64, requires_grad=True)
    flat = isinstance(row, Fc)
    assert module(x).shape[1:] == (shape.output[:1] if flat else shape.output)

    def run(x: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(0)  # for what is drawn at test too
        return module(x)

    assert gradcheck(run, (x, *module.parameters()))


# Settings that are not the defaults, and torch's own word for each.
SETTINGS = [
    (Lrn("row", size=3, alpha=0.5, beta=0.6, k=3.0), nn.LocalResponseNorm(3, 0.5, 0.6, 3.0)),
    (Lrn("row", size=4, alpha=0.5, beta=0.6, k=3.0, alpha_over_size=False), nn.LocalResponseNorm(4, 2.0, 0.6, 3.0)),
    (
        SameMapNorm("row", size=5, alpha=0.7, beta=0.6),
        lambda x: x * (1 + 0.7 * F.avg_pool2d(x * x, 5, 1, 2)) ** -0.6,
    ),
    (MaxPool("row", 4, 3), nn.MaxPool2d(4, 3, ceil_mode=True)),
    (MaxPool("row", 4, 3, rounding="floor"), nn.MaxPool2d(4, 3)),
    (AvgPool("row", 4, 3), nn.AvgPool2d(4, 3, ceil_mode=True)),
    (AvgPool("row", 4, 3, rounding="floor"), nn.AvgPool2d(4, 3)),
    (AdaptiveAvgPool("row", 3), nn.AdaptiveAvgPool2d(3)),
    (Dropout("row", 0.3), lambda x: x * 0.7),
    (Dropout("row", 0.3, scale_at="train"), lambda x: x),
]


@pytest.mark.parametrize(("row", "expected"), SETTINGS)
def test_modules_have_the_settings_of_their_rows(row, expected):
    spec = Spec("test", "this file", (8, 9, 9), (row, Fc("fc", 2), Softmax("prob")))
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(build_row(measure(spec)[0]).eval()(x), expected(x))


@pytest.mark.parametrize(("scale_at", "factor"), [("test", 1.0), ("train", 1 / 0.8)])
def test_dropout_in_training_scales_where_the_row_says(scale_at, factor):
    row = Dropout("row", 0.2, scale_at=scale_at)
    spec = Spec("test", "this file", (8, 9, 9), (row, Fc("fc", 2), Softmax("prob")))
    x = torch.rand(50, 8, 9, 9) + 1
    y = build_row(measure(spec)[0]).train()(x)
    torch.testing.assert_close(y, torch.where(y == 0, 0, x * factor))
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("height", "width"), [(11, 12), (12, 11), (12, 16), (10, 12)])
@pytest.mark.parametrize("local", [False, True])
def test_images_need_not_be_square(height, width, local):
    row = Local("row", 2, 4, stride=3, rounding="ceil") if local else Conv("row", 2, 4, stride=3, rounding="ceil")
    spec = replace(spec_of(row), input=(3, height, width))
    net = build(spec, seed=0)
    images = images_for(spec)
    beyond = F.pad(images, (0, -(width - 4) % 3, 0, -(height - 4) % 3))
    module = net.get_submodule("row")
    if local:
        patches = F.unfold(beyond, 4, stride=3)
        products = torch.einsum("nip,poi->nop", patches, module.weight.flatten(2))
        expected = products.view(2, *module.bias.shape) + module.bias
    else:
        expected = F.conv2d(beyond, module.weight, module.bias, stride=3)
    torch.testing.assert_close(net.features(images, ["row"])["row"], expected)
    assert net(images).shape == (2, 4)


# Features.


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


# Memory, seeds, names.


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


def weights_of(net: Net) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    nets = [create("digits", seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(weights_of(nets[0]), weights_of(nets[1]))
    assert not torch.equal(weights_of(nets[0]), weights_of(nets[2]))


def test_without_a_seed_the_global_generator_decides():
    nets = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        nets += [create("digits"), create("digits")]
    assert torch.equal(weights_of(nets[0]), weights_of(nets[2]))
    assert not torch.equal(weights_of(nets[0]), weights_of(nets[1]))
    assert not torch.equal(weights_of(nets[0]), weights_of(nets[4]))


def test_create_takes_classes_image_size_and_ablations():
    net = create("digits+no-lrn", num_classes=7, input_size=20)
    assert net(torch.randn(1, 3, 20, 20)).shape == (1, 7)
    assert net.spec == find("digits+no-lrn", num_classes=7, input_size=20)
    assert not hasattr(net, "norm1")


def test_create_refuses_what_find_refuses():
    with pytest.raises(UnknownNameError, match="unknown net 'alexnt'"):
        create("alexnt")
    with pytest.raises(SpecError, match="row pool5"):
        create("one-weird-trick", input_size=62)


@pytest.mark.parametrize("name", ["krizhevsky-145", "one-weird-trick", "cifar-11pct", "krizhevsky-145+no-talk"])
def test_a_net_assembled_from_weights_equals_one_built_and_then_overwritten(name: str):
    """Rows with filters, matrices, unshared filters and groups; no weight is drawn, none copied."""
    built = create(name, seed=0).eval()
    weights = built.state_dict()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assembled = assemble(built.spec, weights).eval()
    assert torch.equal(torch.get_rng_state(), before)
    assert [key for key, _ in assembled.named_parameters()] == [key for key, _ in built.named_parameters()]
    assert all(parameter.data_ptr() == weights[key].data_ptr() for key, parameter in assembled.named_parameters())
    images = images_for(built.spec)
    with torch.inference_mode():
        assert torch.equal(assembled(images), built(images))


def test_assembling_imports_no_compiler():
    """Drawing weights that are not there would: a second and more."""
    code = (
        "import sys; from alexnet.nn import assemble, create; net = create('digits'); "
        "assemble(net.spec, net.state_dict()); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Net 145 at its full size, as users run it.


@pytest.fixture(scope="module")
def net145() -> Net:
    return create("krizhevsky-145", seed=0).eval()


@pytest.fixture(scope="module")
def photos(net145: Net) -> Tensor:
    return images_for(net145.spec)


@pytest.fixture(scope="module")
def logits(net145: Net, photos: Tensor) -> Tensor:
    with torch.inference_mode():
        return net145(photos).clone()


def test_compiled_net_145_equals_the_eager_one(net145, photos, logits):
    compiled = torch.compile(net145, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(photos), logits.clone())


def test_the_compiled_training_step_equals_the_eager_one():
    net = create("digits", seed=0).double().eval()
    images = images_for(net.spec, dtype=torch.float64)
    expected = torch.autograd.grad(net(images).square().sum(), list(net.parameters()))
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    found = torch.autograd.grad(compiled(images).square().sum(), list(net.parameters()))
    torch.testing.assert_close(found, expected)


def test_exported_net_145_gives_equal_logits(net145, photos, logits):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net145, (photos,), dynamic_shapes=({0: batch},))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(photos), logits.clone())
        torch.testing.assert_close(program.module()(photos[:1]), logits[:1].clone())


def test_channels_last_equals_contiguous(net145, photos, logits):
    net = copy.deepcopy(net145).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = net(photos.contiguous(memory_format=torch.channels_last))
        pooled = net.features(photos.contiguous(memory_format=torch.channels_last), ["pool2"])["pool2"]
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)
    assert pooled.is_contiguous(memory_format=torch.channels_last)


def test_bf16_autocast_is_finite_and_close(net145, photos, logits):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = net145(photos)
        rows = net145.features(photos, ["conv1", "norm1", "rnorm2", "pool5", "fc7"])
    assert found.isfinite().all()
    assert {value.dtype for value in rows.values()} == {torch.bfloat16}
    assert relative(found.float(), logits) < 0.02


@pytest.mark.parametrize("name", ["digits", "cifar-11pct", "cifar-18pct"])
def test_gradients_in_bf16_point_where_those_of_float32_do(name):
    net = create(name, seed=0).eval()
    images, labels = images_for(net.spec, 8), torch.arange(8)
    exact = torch.autograd.grad(F.cross_entropy(net(images), labels), list(net.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(net(images).float(), labels)
    found = torch.autograd.grad(loss, list(net.parameters()))
    assert min(F.cosine_similarity(a.flatten(), b.flatten(), 0) for a, b in zip(found, exact, strict=True)) > 0.97


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
