"""Steps and epochs. `start` gives a new trainer and its loader for the digits net."""

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.data.color import apply_noise
from alexnet.data.datasets import open_data
from alexnet.data.loader import Batch, TrainLoader
from alexnet.data.splits import DataSet
from alexnet.errors import RunError
from alexnet.nn.drawing import Drawing, set_draws
from alexnet.preprocess import Preprocessing, canvas_size, normalize
from alexnet.train import loop
from alexnet.train.checkpoint import Progress
from alexnet.train.loop import Meter, Trainer, train_epoch
from alexnet.train.options import RunOptions
from alexnet.train.plan import make_plan
from alexnet.train.sgd import Sgd2012
from alexnet.train.share import Share

Start = Callable[..., tuple[Trainer, TrainLoader]]
Tensors = dict[str, np.ndarray]


@pytest.fixture
def start(watching, digits: DataSet) -> Start:
    def start(dataset: DataSet = digits, workers: int = 1, **options: object) -> tuple[Trainer, TrainLoader]:
        settings = {"data": "data", "net": "digits", "precision": "fp32", "batch_size": 16, **options}
        plan = make_plan(RunOptions(**settings), dataset, watching(), device="cpu", workers=workers)  # type: ignore[arg-type]
        return plan.trainer, plan.loader

    return start


def after(num_steps: int, trainer: Trainer, loader: TrainLoader) -> Tensors:
    for step, batch in enumerate(islice(loader.epoch(0), num_steps)):
        trainer.step(batch, step)
    return trainer.tensors()


def same(ours: Tensors, theirs: Tensors) -> bool:
    assert ours.keys() == theirs.keys()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others(start: Start, precision: str) -> None:
    first, again, other = (after(5, *start(seed=seed, precision=precision)) for seed in (3, 3, 4))
    assert same(first, again)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_the_number_of_workers_does_not_change_the_weights(start: Start) -> None:
    one, three = (after(6, *start(workers=workers, recipe="krizhevsky-145")) for workers in (1, 3))
    assert same(one, three)


def test_the_coefficient_of_the_loss_is_one_of_its_gradient_alone(start: Start) -> None:
    """As in 2012: what is logged is the loss itself."""
    trainer, loader = start()
    batch, half = next(loader.epoch(0)), copy.deepcopy(trainer)
    half.recipe = replace(half.recipe, loss_coefficient=0.5)
    losses = [each.step(batch, 0)[0] for each in (trainer, half)]
    assert losses[0] == losses[1]
    whole, halved = (each.tensors()["fc5.bias"] for each in (trainer, half))  # no decay, and 0 before
    assert whole.any()
    np.testing.assert_allclose(2 * halved, whole, rtol=1e-5)


def test_a_step_draws_from_seed_and_step_alone(start: Start) -> None:
    """Whatever happened to torch's generator before: that is what makes a resumed run exact."""
    trainer, loader = start()
    batch = next(loader.epoch(0))
    twin = copy.deepcopy(trainer)
    torch.manual_seed(99)
    trainer.step(batch, 7)
    torch.rand(1000)
    twin.step(batch, 7)
    assert same(trainer.tensors(), twin.tensors())
    trainer.step(batch, 8)
    twin.step(batch, 9)  # other numbers for another step: dropout differs
    assert not same(trainer.tensors(), twin.tensors())


def test_without_dropout_units_are_scaled_as_at_test(start: Start) -> None:
    trainer, loader = start()
    batch = next(loader.epoch(0))
    trainer.recipe = replace(trainer.recipe, dropout=False)
    trainer.net.eval()
    with torch.no_grad():
        at_test, _ = trainer._loss(
            torch.as_tensor(batch.images), torch.as_tensor(batch.labels), None, 0.0, Share((len(batch.labels),))
        )
    twin = copy.deepcopy(trainer)
    loss, _ = trainer.step(batch, 7)
    twin.step(batch, 9)
    torch.testing.assert_close(loss, at_test)
    assert same(trainer.tensors(), twin.tensors())


@pytest.mark.parametrize("seed", [0, 1, 20_121_130, 2**63, 2**80])
def test_every_seed_can_be_trained_with(start: Start, seed: int) -> None:
    assert all(np.isfinite(tensor).all() for tensor in after(2, *start(seed=seed)).values())


@pytest.mark.parametrize("recipe", ["digits", "krizhevsky-145", "caffe", "one-weird-trick"])
def test_a_step_is_loss_and_errors_of_the_net_on_normalized_noisy_images(start: Start, recipe: str) -> None:
    """The slow twin normalizes and adds noise with NumPy and takes the loss by its formula."""
    trainer, loader = start(recipe=recipe)
    net, preprocessing = copy.deepcopy(trainer.net).train(), loader_preprocessing(trainer, loader)
    batch = next(loader.epoch(0))
    loss, wrong = trainer.step(batch, 11)
    pixels = normalize(batch.images, preprocessing)
    if batch.noise is not None:
        noise = batch.noise[:, ::-1] if preprocessing.channel_order == "BGR" else batch.noise
        pixels = apply_noise(pixels, noise, 0.1)
        assert np.abs(noise).max() > 1
    set_draws(net, (0, 11), None, torch.device("cpu"))  # seed 0, step 11
    logits = net(torch.from_numpy(pixels)).detach().double().numpy()
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert float(loss) == pytest.approx(-log_probs[np.arange(16), batch.labels].mean(), rel=1e-5)
    assert int(wrong) == (logits.argmax(1) != batch.labels).sum()


def loader_preprocessing(trainer: Trainer, loader: TrainLoader) -> Preprocessing:
    """What the input layer was made from, rebuilt from its parts."""
    height, width = canvas_size(loader.options.resize)
    mean = trainer.inputs.mean[0].numpy()
    mean_image = None
    if mean.shape[1] > 1:  # the central crop; what lies around it is never subtracted
        top, left = (height - 16) // 2, (width - 16) // 2
        mean_image = np.pad(mean, ((0, 0), (top, height - 16 - top), (left, width - 16 - left)))
    return Preprocessing(
        resize=loader.options.resize,
        crop=16,
        channel_order=trainer.recipe.channel_order,
        scale=trainer.recipe.scale,
        mean=tuple(mean.reshape(3, -1)[:, 0].tolist()),
        std=trainer.recipe.std,
        mean_image=mean_image,
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_precisions_learn(start: Start, precision: str) -> None:
    """From 2.30, the loss of chance, to under 1.8 in 40 steps; weights stay float32."""
    trainer, loader = start(precision=precision, batch_size=32, lr=0.02, epochs=4)
    losses = [float(trainer.step(batch, step)[0]) for step, batch in enumerate(islice(loader.epoch(0), 40))]
    assert losses[0] == pytest.approx(np.log(10), abs=0.02)
    assert np.mean(losses[-5:]) < 1.8
    assert {parameter.dtype for parameter in trainer.net.parameters()} == {torch.float32}


def test_bf16_is_what_convolutions_and_products_run_in(start: Start) -> None:
    trainer, loader = start(precision="bf16")
    seen = {}
    for name, module in trainer.net.named_children():
        module.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: output.dtype}))
    loss, _ = trainer.step(next(loader.epoch(0)), 0)
    assert {seen[name] for name in ("conv1", "conv2", "conv3", "fc4", "fc5")} == {torch.bfloat16}
    assert loss.dtype == torch.float32


def test_a_real_shard_of_cifar_is_learned_from(start: Start, test_data: Path) -> None:
    """The first steps of cuda-convnet's 18 % net at five times its rate, on the test shard: only to see it fall."""
    dataset = open_data(test_data / "cifar10" / "test-000.tar.gz")
    dataset = replace(dataset, splits={"train": dataset.split("test")})
    trainer, loader = start(dataset, net="cifar-18pct", batch_size=64, lr=0.005)
    losses = [float(trainer.step(batch, step)[0]) for step, batch in enumerate(islice(loader.epoch(0), 30))]
    assert losses[0] == pytest.approx(np.log(10), abs=0.02)
    assert np.mean(losses[-5:]) < 2.25


def test_rates_are_those_of_the_classifier(start: Start) -> None:
    trainer, loader = start(lr=0.5, epochs=1)
    trainer.step(next(loader.epoch(0)), 0)
    assert trainer.rates() == {"lr": 0.5, "lr_bias": 1.0}


class Scripted:
    """A trainer whose steps lose what they are told to."""

    def __init__(self, losses: list[float]) -> None:
        self.losses, self.steps = losses, []

    def step(self, batch: Batch, step: int, plateaus: int, share: Share) -> tuple[torch.Tensor, torch.Tensor]:
        self.steps.append((step, plateaus))
        return torch.tensor(self.losses[len(self.steps) - 1]), torch.tensor(1)


def batch_of(size: int) -> tuple[Batch, Share]:
    """Labels alone."""
    return Batch(np.empty(0), np.zeros(size, np.int64), None, np.empty(0)), Share((size,))  # type: ignore[arg-type]


def scripted_epoch(losses: list[float], sizes: list[int], first_step: int = 0):
    trainer, records, advanced = Scripted(losses), [], []
    batches = [batch_of(size) for size in sizes]
    progress = Progress(step=first_step, plateaus=2)
    train_epoch(
        trainer,  # type: ignore[arg-type]
        batches,
        progress,
        last_step=first_step + len(sizes),
        advance=lambda count=1, note="": advanced.append((count, note)),
        record=lambda means: records.append((progress.step, means)),
    )
    return trainer, progress.step, records, advanced


@pytest.mark.parametrize("first_step", [0, 10, 40])
@pytest.mark.parametrize("num_steps", [1, 19, 20, 29, 30, 47, 50])
def test_means_are_recorded_about_every_20_steps_and_at_the_end(first_step: int, num_steps: int) -> None:
    """Weighted by images, over the steps since the record before; no epoch ends on means over under ten of many."""
    rng = np.random.default_rng(0)
    losses, sizes = rng.uniform(0, 3, num_steps).astype(np.float32), rng.integers(1, 9, num_steps)
    trainer, last, records, advanced = scripted_epoch(losses.tolist(), sizes.tolist(), first_step)
    assert trainer.steps == [(first_step + step, 2) for step in range(num_steps)]
    assert last == first_step + num_steps
    multiples = [step for step in range(first_step + 1, last - 9) if step % 20 == 0]
    assert [step for step, _ in records] == [*multiples, last]
    edges = [first_step, *multiples, last]
    for (_, means), (low, high) in zip(records, pairwise(edges), strict=True):
        part = slice(low - first_step, high - first_step)
        assert means["loss"] == pytest.approx(np.average(losses[part], weights=sizes[part]), rel=1e-5)
        assert means["top1_error"] == pytest.approx((high - low) / sizes[part].sum())
        assert means["images_per_second"] > 0
    assert [count for count, _ in advanced] == sizes.tolist()
    assert advanced[-1][1].startswith(f"loss {records[-1][1]['loss']:.3f}  top-1 error ")


def test_a_batch_of_damaged_images_alone_is_a_step_without_an_update() -> None:
    trainer, last, records, advanced = scripted_epoch([1.0, 3.0], [4, 0, 4])
    assert trainer.steps == [(0, 2), (2, 2)]
    assert (last, len(records), records[0][1]["loss"]) == (3, 1, 2.0)
    assert [count for count, _ in advanced] == [4, 0, 4]
    assert scripted_epoch([], [0, 0])[1:3] == (2, [])


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [0, 19, 20, 32])
def test_a_loss_that_is_no_number_ends_the_run_by_its_step_and_is_not_recorded(loss: float, at: int) -> None:
    losses = [1.0] * 33
    losses[at] = loss
    with pytest.raises(RunError, match=f"the loss is {loss} at step {at + 1}; .* lower --lr"):
        scripted_epoch(losses, [4] * 33)


def test_the_meter_starts_anew_after_each_reading() -> None:
    meter = Meter()
    meter.add(1, 4, torch.tensor(3.0), torch.tensor(2))
    meter.read()
    meter.add(2, 2, torch.tensor(1.0), torch.tensor(0))
    means = meter.read()
    assert (means["loss"], means["top1_error"]) == (1.0, 0.0)
    assert len(meter) == 0


def test_a_meter_goes_on_with_what_it_had_not_read() -> None:
    whole, first = Meter(), Meter()
    for meter in (whole, first):
        meter.add(1, 4, torch.tensor(3.0), torch.tensor(2))
    second = Meter(first.unread())
    for meter in (whole, second):
        meter.add(2, 2, torch.tensor(1.1), torch.tensor(0))
    one, other = whole.read(), second.read()
    assert {key: one[key] for key in ("loss", "top1_error")} == {key: other[key] for key in ("loss", "top1_error")}


def test_an_epoch_that_is_stopped_hands_over_what_it_has_not_recorded() -> None:
    progress = Progress()

    def stop(count: int = 1, note: str = "") -> None:
        if progress.step == 3:
            raise InterruptedError

    batches = [batch_of(4)] * 9
    with pytest.raises(InterruptedError):
        train_epoch(Scripted([1.0, 2.0, 3.0]), batches, progress, last_step=9, advance=stop, record=pytest.fail)  # type: ignore[arg-type]
    assert progress.unrecorded == [(1, 4, 1.0, 1), (2, 4, 2.0, 1), (3, 4, 3.0, 1)]


@pytest.mark.parametrize("spoiled", ["weight", "velocity"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_an_update_has_spoiled_is_not_saved(start: Start, spoiled: str, number: float) -> None:
    trainer, _ = start()
    trainer.check_finite(3)
    tensors = trainer.net.state_dict() if spoiled == "weight" else trainer.optimizer.velocities()
    tensors["conv2.weight"][0, 0, 0, 0] = number
    with pytest.raises(RunError, match="no numbers any more after step 3"):
        trainer.check_finite(3)


def test_tensors_are_copies_in_plain_order(start: Start) -> None:
    trainer, loader = start()
    before = trainer.tensors()
    kept = {name: tensor.copy() for name, tensor in before.items()}
    trainer.step(next(loader.epoch(0)), 0)
    assert same(before, kept)
    assert all(tensor.flags.c_contiguous and tensor.dtype == np.float32 for tensor in before.values())
    assert trainer.net.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_records_come_as_often_as_the_constant_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests shorten the way to a checkpoint by it."""
    monkeypatch.setattr(loop, "STEPS_PER_RECORD", 2)
    assert [step for step, _ in scripted_epoch([1.0] * 5, [4] * 5)[2]] == [2, 4, 5]


def test_smaller_images_train_the_same_parameters(start: Start) -> None:
    """A step on half-size images moves every parameter of the one net; the next, at full size, goes on from there."""
    trainer, loader = start(recipe="tiny-imagenet", epochs=2)
    small, full = next(loader.epoch(0)), next(loader.epoch(1))
    assert (small.images.shape[2:], full.images.shape[2:]) == ((8, 8), (16, 16))
    before = trainer.tensors()
    loss, _ = trainer.step(small, 0)
    after_one = trainer.tensors()
    assert loss.isfinite()
    assert not any(np.array_equal(before[name], after_one[name]) for name in before)
    trainer.step(full, 1)
    assert not any(np.array_equal(after_one[name], tensor) for name, tensor in trainer.tensors().items())


@pytest.mark.parametrize("recipe", ["digits", "krizhevsky-145", "one-weird-trick", "lars"])
@pytest.mark.parametrize("images_per_pass", [1, 5, 16, 100])
def test_a_step_in_several_passes_is_the_step_of_all_at_once(start: Start, recipe: str, images_per_pass: int) -> None:
    """Dropout and colour noise included; in double."""
    trainer, loader = start(recipe=recipe, batch_size=16, lr=0.1)
    trainer.net.double()
    trainer.optimizer = Sgd2012(trainer.net, trainer.recipe)
    forward = trainer.inputs.forward
    trainer.inputs.forward = lambda *given, **more: forward(*given, **more).double()  # type: ignore[method-assign]
    twin = copy.deepcopy(trainer)
    twin.images_per_pass = images_per_pass
    for step, batch in enumerate(islice(loader.epoch(0), 3)):
        loss, wrong = trainer.step(batch, step)
        ours, our_wrong = twin.step(batch, step)
        assert float(ours) == pytest.approx(float(loss), rel=1e-12)
        assert int(wrong) == int(our_wrong)
    for name, tensor in trainer.weights().items():
        torch.testing.assert_close(twin.weights()[name], tensor, rtol=1e-10, atol=1e-12 * float(tensor.abs().max()))


def test_dropout_of_the_passes_of_a_step_differs(start: Start) -> None:
    """It is that of the whole batch: the same picture twice is dropped otherwise in each of two passes."""
    trainer, loader = start(batch_size=16)
    batch = next(loader.epoch(0))
    twice = Batch(batch.images[[0, 0]], batch.labels[[0, 0]], None, batch.indices[[0, 0]])
    seen = []
    drop = next(module for module in trainer.net.modules() if isinstance(module, Drawing))
    drop.register_forward_hook(lambda module, given, output: seen.append(output.detach() / given[0].detach()))
    trainer.images_per_pass = 1
    trainer.step(twice, 0)
    assert len(seen) == 2
    assert not torch.equal(seen[0].nan_to_num(), seen[1].nan_to_num())
