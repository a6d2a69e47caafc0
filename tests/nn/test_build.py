import copy
import subprocess
import sys

import pytest
import torch
from tests.nn.nets import images_for, relative
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from alexnet.arch import ABLATIONS, NETS, find
from alexnet.arch.rows import Fc
from alexnet.arch.shapes import measure, total_params
from alexnet.errors import SpecError, UnknownNameError
from alexnet.nn import Net, assemble, build, create


def every_net() -> list[str]:
    names = list(NETS)
    for net in NETS:
        for ablation in ABLATIONS:
            try:
                names.append(find(f"{net}+{ablation}").name)
            except SpecError:
                continue
    return names


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
