"""What CUDA trains with, as far as a CPU can tell: the step in one graph, the same numbers, names without prefixes."""

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from alexnet.data.loader import Batch
from alexnet.nn import InputLayer, create
from alexnet.preprocess import Preprocessing
from alexnet.recipes import find_recipe
from alexnet.train import compiled
from alexnet.train.compiled import Gradients
from alexnet.train.layout import WholeNet
from alexnet.train.loop import Trainer
from alexnet.train.share import Share

# torch warns of itself while it compiles, in each version of other things.
compiles = pytest.mark.filterwarnings("default")

CARD = SimpleNamespace(type="cuda")  # as much of a device as is asked for
N = 4


@pytest.fixture
def cudnn() -> Iterator[None]:
    """A setting of the whole process is put back."""
    before = torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = before


def line(weight: torch.Tensor) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def loss_of(images, labels, noise, coefficient, share):
        wrong = (images @ weight - labels).abs()
        return wrong.mean() + coefficient, wrong.sum().detach()

    return loss_of


def gradients(weight: torch.Tensor, said: list[str], device: torch.device = CARD) -> Gradients:
    return Gradients(line(weight), [weight], compiles=device.type == "cuda", batch_size=N, say=said.append)  # type: ignore[arg-type]


def batch_of(count: int) -> tuple[torch.Tensor, torch.Tensor, None, float, Share]:
    return torch.randn(count, 3), torch.randn(count), None, 0.5, Share((count,))


def test_a_cpu_takes_the_plain_way(monkeypatch):
    monkeypatch.setattr(torch, "compile", pytest.fail)
    weight = torch.randn(3, requires_grad=True)
    loss, wrong = gradients(weight, [], torch.device("cpu"))(*batch_of(N))
    assert weight.grad is not None
    assert not loss.requires_grad
    assert not wrong.requires_grad


@compiles
@pytest.mark.usefixtures("cudnn")
def test_whole_batches_are_replayed_and_others_run_as_written(monkeypatch):
    monkeypatch.delenv("ALEXNET_COMPILE", raising=False)
    replayed, asked = [], []

    def compile_(function, **options):
        asked.append(options)
        return lambda *batch: replayed.append(len(batch[0])) or function(*batch)

    monkeypatch.setattr(torch, "compile", compile_)
    weight, said = torch.randn(3, requires_grad=True), []
    by_graph, plain = gradients(weight, said), gradients(weight, said, torch.device("cpu"))
    for count in (N, N, 2, N):
        batch = batch_of(count)
        found, grad = by_graph(*batch), weight.grad
        weight.grad = None
        torch.testing.assert_close(found, plain(*batch))
        torch.testing.assert_close(grad, weight.grad)
        weight.grad = None
    assert replayed == [N, N, N]
    assert asked == [{"fullgraph": True, "dynamic": False, "mode": "reduce-overhead"}]
    assert said == []


@compiles
@pytest.mark.usefixtures("cudnn")
@pytest.mark.parametrize("failing", ["forward", "backward"])
def test_a_compiler_that_fails_is_told_once_and_leaves_no_half_gradient(failing, monkeypatch):
    monkeypatch.delenv("ALEXNET_COMPILE", raising=False)

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, loss):
            return loss.clone()

        @staticmethod
        def backward(ctx, grad):
            weight.grad = torch.full_like(weight, 7.0)
            raise RuntimeError("no Triton")

    def compile_(function, **_):
        def run(*batch):
            if failing == "forward":
                raise RuntimeError("no Triton")
            loss, wrong = function(*batch)
            return Failing.apply(loss), wrong

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    weight, said, batch = torch.randn(3, requires_grad=True), [], batch_of(N)
    by_graph = gradients(weight, said)
    for _ in range(2):
        by_graph(*batch)
        found, weight.grad = weight.grad, None
        gradients(weight, said, torch.device("cpu"))(*batch)
        torch.testing.assert_close(found, weight.grad)
        weight.grad = None
    assert [line.split(" (")[0] for line in said] == ["the net cannot be compiled and will be slower"]


def test_the_environment_turns_it_off(monkeypatch):
    monkeypatch.setenv("ALEXNET_COMPILE", "0")
    monkeypatch.setattr(torch, "compile", pytest.fail)
    gradients(torch.randn(3, requires_grad=True), [])(*batch_of(N))


def trainer_of(net: str, device: str = "cpu", dtype: torch.dtype = torch.float32, size: int | None = None) -> Trainer:
    module = create(net, num_classes=10, input_size=size, seed=0)
    crop = module.spec.input[1]
    inputs = InputLayer(Preprocessing(resize=crop, crop=crop, mean=(120.0, 119.0, 105.0)))
    recipe = find_recipe("krizhevsky-145")
    where = torch.device(device)
    layout = WholeNet(module, where)
    return Trainer(layout, recipe, inputs, device=where, dtype=dtype, seed=0, total_steps=100_000, say=pytest.fail)


def images_for(trainer: Trainer, count: int) -> Batch:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *trainer.net.spec.input), np.uint8)
    noise = rng.normal(0, 10, (count, 3)).astype(np.float32)
    return Batch(images, rng.integers(0, 10, count), noise, np.arange(count))


@pytest.fixture
def formula_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms in a compiled net are written as they are for CUDA."""
    for room in ("lrn", "same_map"):
        monkeypatch.setattr(f"alexnet.nn.{room}.wants_formula", lambda _: torch.compiler.is_compiling())


@compiles
@pytest.mark.usefixtures("formula_here")
@pytest.mark.parametrize("net", ["digits", "cifar-18pct", "cifar-11pct"])
def test_the_loss_of_a_net_is_one_graph_with_the_same_gradients(net, monkeypatch):
    """The means of the compiler apart from its kernels: what Python does is traced, and gradients are derived."""
    torch._dynamo.reset()
    trainer = trainer_of(net)
    batch = images_for(trainer, 4)
    trainer.net.train()
    share = Share((4,))
    trainer.layout.set_draws((1, 2), share.own, share)
    arrays = (torch.from_numpy(array) for array in (batch.images, batch.labels, batch.noise))
    arguments = (*arrays, 0.1, share)
    compiled_loss = torch.compile(trainer._loss, backend="aot_eager", fullgraph=True, dynamic=False)
    results = []
    for loss_of in (compiled_loss, trainer._loss):
        loss, wrong = loss_of(*arguments)
        loss.backward()
        results.append([loss.detach(), wrong, *(parameter.grad for parameter in trainer.net.parameters())])
        trainer.optimizer.optimizer.zero_grad(set_to_none=True)
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


def test_a_copied_trainer_steps_its_own_net():
    trainer = trainer_of("digits")
    twin = copy.deepcopy(trainer)
    before = trainer.tensors()
    twin.step(images_for(twin, 4), 0)
    assert all(np.array_equal(before[name], tensor) for name, tensor in trainer.tensors().items())


@compiles
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_card_the_net_is_compiled_keeps_its_names_and_learns(dtype, monkeypatch):
    monkeypatch.setenv("ALEXNET_COMPILE", "1")
    trainer = trainer_of("krizhevsky-145", "cuda", dtype)
    names = list(trainer.net.state_dict())
    batch = images_for(trainer, trainer.recipe.batch_size)
    losses = [float(trainer.step(batch, step)[0]) for step in range(30)]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < losses[0]
    assert list(trainer.net.state_dict()) == names
    assert trainer._gradients._graph.is_fast
    trainer.step(images_for(trainer, 5), 30)  # the last of an epoch


@compiles
@pytest.mark.gpu
def test_on_a_card_a_rate_of_zero_and_the_end_of_noise_are_other_graphs_of_the_same_net():
    trainer = trainer_of("krizhevsky-145", "cuda", torch.bfloat16)
    batch = images_for(trainer, trainer.recipe.batch_size)
    for step in (0, 1, 70_000, 75_000, 75_001, 99_999):
        frozen = trainer.net.conv1.weight.detach().clone()
        trainer.step(batch, step)
        assert torch.equal(frozen, trainer.net.conv1.weight) == (step == 99_999)
    assert trainer._gradients._graph.is_fast
    assert compiled.MODE == "reduce-overhead"


@compiles
@pytest.mark.gpu
def test_on_a_card_random_numbers_of_a_replayed_graph_follow_from_the_seed():
    trainer = trainer_of("krizhevsky-145", "cuda", torch.bfloat16)
    batch = images_for(trainer, trainer.recipe.batch_size)
    images, labels, noise = (torch.from_numpy(array).cuda() for array in (batch.images, batch.labels, batch.noise))
    images = images.contiguous(memory_format=torch.channels_last)
    trainer.net.train()

    def gradient(seed: int) -> torch.Tensor:
        share = Share((len(labels),))
        trainer.layout.set_draws((seed,), share.own, share)
        trainer._gradients(images, labels, noise, 0.1, share)
        found = trainer.net.fc8.weight.grad.clone()
        trainer.optimizer.optimizer.zero_grad(set_to_none=True)
        return found

    _, _, _, first, again, other = (gradient(seed) for seed in (1, 1, 1, 1, 1, 2))  # the first compile and record
    torch.testing.assert_close(first, again)
    assert (first - other).norm() > 0.1 * first.norm()


@compiles
@pytest.mark.gpu
def test_on_a_card_a_replayed_graph_drops_the_units_that_the_net_as_written_does():
    """So that one process, whose step is compiled, and several, whose are not, make the same run."""
    trainer = trainer_of("krizhevsky-145", "cuda")
    batch = images_for(trainer, trainer.recipe.batch_size)
    images, labels, noise = (torch.from_numpy(array).cuda() for array in (batch.images, batch.labels, batch.noise))
    images = images.contiguous(memory_format=torch.channels_last)
    trainer.net.train()
    share = Share((len(labels),))
    for seed in range(4):  # the first compile and record
        gradients = []
        for way in (trainer._gradients._plain, trainer._gradients):
            trainer.layout.set_draws((seed,), share.own, share)
            way(images, labels, noise, 0.1, share)
            gradients.append(trainer.net.fc8.weight.grad.clone())
            trainer.optimizer.optimizer.zero_grad(set_to_none=True)
        assert (gradients[0] - gradients[1]).norm() < 0.02 * gradients[0].norm()
    assert trainer._gradients._graph.is_fast


@pytest.mark.gpu
def test_a_batch_that_does_not_fit_is_said_in_a_line():
    from alexnet.errors import RunError

    trainer = trainer_of("krizhevsky-145", "cuda")
    size = torch.cuda.mem_get_info()[0] // (3 * 224 * 224) // 8
    images = torch.zeros(size, 3, 224, 224, dtype=torch.uint8, device="cuda")
    batch = SimpleNamespace(images=images, labels=torch.zeros(size, dtype=torch.int64), noise=None)
    with pytest.raises(RunError, match="smaller --batch-size"):
        trainer.step(batch, 0)
