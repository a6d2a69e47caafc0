"""The update against the formula by hand: facts of the 2012 release, sections 4.1 and 12."""

from itertools import pairwise

import pytest
import torch

from alexnet.nn import Net
from alexnet.recipes import KRIZHEVSKY_145, Rates, Recipe, Steps
from alexnet.train.sgd import Sgd2012

MOMENTUM, DECAY = 0.9, 0.01


def recipe_of(*rates: float, biases: Steps | None = None, **changes: object) -> Recipe:
    """A recipe whose rate at step n of len(rates) is rates[n]."""
    drops = tuple((step / len(rates), rate) for step, rate in enumerate(rates))
    weights = Steps(rates[0], drops)
    settings: dict[str, object] = {
        "rates": Rates(weights, biases or weights),
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
    }
    return Recipe(name="by hand", source="a test", epochs=1, **settings | changes)  # type: ignore[arg-type]


def drive(
    net: Net, recipe: Recipe, num_steps: int, gradient: float = 0.5, start: float = 1.0
) -> dict[str, list[float]]:
    """Every parameter's value (all elements are alike) at the start and after each step of a constant gradient."""
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, start)
    optimizer = Sgd2012(net, recipe)
    values: dict[str, list[float]] = {name: [start] for name, _ in net.named_parameters()}
    for step in range(num_steps):
        optimizer.set_rates(step / num_steps)
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        for name, parameter in net.named_parameters():
            assert parameter.grad is None
            assert parameter.unique().numel() == 1
            values[name].append(parameter.detach().flatten()[0].item())
    return values


def by_hand(rates: list[float], decay: float, gradient: float = 0.5, start: float = 1.0) -> list[float]:
    """inc <- mom inc - eps wc w - eps g; w <- w + inc; nothing at all where eps is 0."""
    weight, increment, values = start, 0.0, [start]
    for rate in rates:
        if rate:
            increment = MOMENTUM * increment - rate * decay * weight - rate * gradient
            weight += increment
        values.append(weight)
    return values


def by_hand_in_torch(rates: list[float], decay: float, gradient: float = 0.5, start: float = 1.0) -> list[float]:
    """b <- mom b + (g + wd w); w <- w - lr b."""
    weight, buffer, values = start, 0.0, [start]
    for rate in rates:
        buffer = MOMENTUM * buffer + gradient + decay * weight
        weight -= rate * buffer
        values.append(weight)
    return values


def test_three_steps_give_the_golden_numbers(small_net: Net) -> None:
    values = drive(small_net, recipe_of(0.1, 0.1, 0.1), 3)["conv1.weight"]
    assert values == pytest.approx([1, 0.949, 0.852151, 0.71413475], rel=1e-8)
    increments = [after - before for before, after in pairwise(values)]
    assert increments == pytest.approx([-0.051, -0.096849, -0.13801625], rel=1e-8)


@pytest.mark.parametrize(
    "rates",
    [
        [0.1, 0.1, 0.1, 0.01, 0.01],
        [0.01, 0.1, 0.1, 0.001, 0.00001, 0.00001],
        [0.1, 0.1, 0.0, 0.0, 0.1, 0.05],
        [0.0, 0.1, 0.1],
    ],
)
def test_the_update_equals_the_formula_over_changes_of_the_rate(rates: list[float], small_net: Net) -> None:
    values = drive(small_net, recipe_of(*rates), len(rates))
    assert values["conv1.weight"] == pytest.approx(by_hand(rates, DECAY), rel=1e-12)
    assert values["fc2.weight"] == values["conv1.weight"]


def test_the_smallest_rate_keeps_its_digits_in_float32(small_net: Net) -> None:
    """1 - (1 - 0.00001) in float32 would be off by more than a thousandth."""
    moved = drive(small_net.float(), recipe_of(0.00001, weight_decay=0.0), 1, gradient=1.0, start=0.0)
    assert moved["conv1.weight"][1] == pytest.approx(-0.00001, rel=1e-6)


def test_torchs_rule_is_the_same_until_the_rate_changes_and_differs_from_then_on(small_net: Net) -> None:
    rates = [0.1, 0.1, 0.1, 0.01, 0.01]
    ours = drive(small_net, recipe_of(*rates), 5)["fc2.weight"]
    theirs = drive(small_net, recipe_of(*rates, update="pytorch"), 5)["fc2.weight"]
    assert theirs == pytest.approx(by_hand_in_torch(rates, DECAY), rel=1e-12)
    assert theirs[:4] == pytest.approx(ours[:4], rel=1e-12)
    # The first step after a drop is ten times as long by the rule of 2012, but for the fresh gradient.
    for step in (4, 5):
        assert abs(theirs[step] - ours[step]) > 0.1
    velocity = ours[3] - ours[2]
    fresh = 0.01 * (0.5 + DECAY * ours[3])
    assert ours[4] - ours[3] == pytest.approx(MOMENTUM * velocity - fresh, rel=1e-12)
    assert theirs[4] - theirs[3] == pytest.approx(MOMENTUM * velocity / 10 - fresh, rel=1e-12)


def test_biases_have_their_own_rate_and_no_decay(small_net: Net) -> None:
    rates = [0.1, 0.1, 0.01]
    values = drive(small_net, recipe_of(*rates, biases=Steps(0.02)), 3)
    for row in ("conv1", "fc2"):
        assert values[f"{row}.bias"] == pytest.approx(by_hand([0.02] * 3, decay=0.0), rel=1e-12)
        assert values[f"{row}.weight"] == pytest.approx(by_hand(rates, DECAY), rel=1e-12)


def test_a_row_may_have_its_own_decay_and_biases_a_common_one(small_net: Net) -> None:
    recipe = recipe_of(0.1, 0.1, row_decay={"fc2": 0.7}, bias_decay=0.2)
    values = drive(small_net, recipe, 2, gradient=0.0)
    expected = {"conv1.weight": DECAY, "fc2.weight": 0.7, "conv1.bias": 0.2, "fc2.bias": 0.2}
    for name, decay in expected.items():
        assert values[name] == pytest.approx(by_hand([0.1, 0.1], decay, gradient=0.0), rel=1e-12)


def test_a_row_may_have_rates_of_its_own(small_net: Net) -> None:
    recipe = recipe_of(0.1, 0.1, row_rates={"conv1": Rates(Steps(0.3), Steps(0.4))})
    values = drive(small_net, recipe, 2)
    rates = {"conv1.weight": 0.3, "conv1.bias": 0.4, "fc2.weight": 0.1, "fc2.bias": 0.1}
    for name, rate in rates.items():
        decay = 0.0 if name.endswith("bias") else DECAY
        assert values[name] == pytest.approx(by_hand([rate, rate], decay), rel=1e-12)


def test_a_rate_of_0_freezes_a_row_and_it_thaws_with_its_old_velocity(small_net: Net) -> None:
    """No gradient is computed for it; weights, momentum and decay stand still while other rows go on."""
    rates = [0.1, 0.0, 0.0, 0.1]
    frozen = Steps(0.1, ((0.25, 0.0), (0.75, 0.1)))
    optimizer = Sgd2012(small_net, recipe_of(*[0.1] * 4, row_rates={"conv1": Rates(frozen, frozen)}))
    weight, images = small_net.conv1.weight, torch.ones(2, 3, 5, 5, dtype=torch.float64)
    seen = []
    for step, rate in enumerate(rates):
        optimizer.set_rates(step / 4)
        before = {name: each.detach().clone() for name, each in small_net.named_parameters()}
        velocity = optimizer.velocities()["conv1.weight"].clone()
        small_net(images).square().sum().backward()
        assert (weight.grad is None) == (rate == 0)
        gradient = None if weight.grad is None else weight.grad.clone()
        optimizer.step()
        moved = {name: bool((each.detach() != before[name]).any()) for name, each in small_net.named_parameters()}
        assert moved == {"conv1.weight": rate > 0, "conv1.bias": rate > 0, "fc2.weight": True, "fc2.bias": True}
        if gradient is None:
            torch.testing.assert_close(optimizer.velocities()["conv1.weight"], velocity, rtol=0, atol=0)
        else:
            expected = MOMENTUM * velocity + rate * (gradient + DECAY * before["conv1.weight"])
            torch.testing.assert_close(optimizer.velocities()["conv1.weight"], expected)
            torch.testing.assert_close(weight.detach(), before["conv1.weight"] - expected)
        seen.append(float(velocity.abs().sum()))
    assert seen[1] > 0  # there was a velocity to keep
    assert seen[3] == seen[1]


def test_the_first_layer_is_frozen_at_the_end_of_the_2012_run(small_net: Net) -> None:
    optimizer = Sgd2012(small_net, KRIZHEVSKY_145)
    optimizer.set_rates(71.9 / 91)
    assert optimizer.rates == {"conv1.weight": 0.00001, "conv1.bias": 0.02, "fc2.weight": 0.0001, "fc2.bias": 0.02}
    optimizer.set_rates(72.1 / 91)
    assert optimizer.rates == {"conv1.weight": 0.0, "conv1.bias": 0.0, "fc2.weight": 0.0001, "fc2.bias": 0.02}


def test_velocities_copied_into_another_optimizer_go_on_as_if_nothing_had_happened(small_net: Net) -> None:
    recipe = recipe_of(0.1, 0.1)
    optimizer = Sgd2012(small_net, recipe)

    def update(by: Sgd2012) -> None:
        by.set_rates(0)
        for parameter in small_net.parameters():
            parameter.grad = torch.ones_like(parameter)
        by.step()

    update(optimizer)
    saved = {name: tensor.clone() for name, tensor in optimizer.velocities().items()}
    weights = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    update(optimizer)
    expected = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    small_net.load_state_dict(weights)
    second = Sgd2012(small_net, recipe)
    second.load_velocities(saved)
    update(second)
    for name, tensor in small_net.state_dict().items():
        assert torch.equal(tensor, expected[name])
        assert not torch.equal(tensor, 2 * weights[name] - 1)  # a step without the velocity


def lars_by_hand(
    weight: torch.Tensor, gradients: list[torch.Tensor], rates: list[float], trust: float
) -> list[torch.Tensor]:
    """v <- mom v + rate ratio (g + wd w); w <- w - v; ratio = trust |w| / (|g| + wd |w|)."""
    velocity, values = torch.zeros_like(weight), []
    for gradient, rate in zip(gradients, rates, strict=True):
        ratio = trust * weight.norm() / (gradient.norm() + DECAY * weight.norm())
        velocity = MOMENTUM * velocity + rate * ratio * (gradient + DECAY * weight)
        weight = weight - velocity
        values.append(weight)
    return values


def test_lars_equals_the_formula_over_a_change_of_the_rate(small_net: Net) -> None:
    rates, trust = [3.0, 3.0, 0.2], 0.02
    optimizer = Sgd2012(small_net, recipe_of(*rates, update="lars", trust=trust))
    generator = torch.Generator().manual_seed(0)
    gradients = {
        name: [torch.randn(each.shape, generator=generator, dtype=torch.float64) for _ in rates]
        for name, each in small_net.named_parameters()
    }
    begun = {name: each.detach().clone() for name, each in small_net.named_parameters()}
    values: dict[str, list[torch.Tensor]] = {name: [] for name in begun}
    ratios: dict[str, list[float]] = {"conv1": [], "fc2": []}
    for step in range(len(rates)):
        for row, found in ratios.items():
            weight, gradient = (
                each.norm()
                for each in (small_net.get_parameter(f"{row}.weight").detach(), gradients[f"{row}.weight"][step])
            )
            found.append(float(trust * weight / (gradient + DECAY * weight)))
        optimizer.set_rates(step / len(rates))
        for name, parameter in small_net.named_parameters():
            parameter.grad = gradients[name][step].clone()
        optimizer.step()
        for name, parameter in small_net.named_parameters():
            values[name].append(parameter.detach().clone())
    for row, found in ratios.items():
        expected = lars_by_hand(begun[f"{row}.weight"], gradients[f"{row}.weight"], rates, trust)
        torch.testing.assert_close(torch.stack(values[f"{row}.weight"]), torch.stack(expected), rtol=1e-10, atol=1e-12)
        bias, velocity = begun[f"{row}.bias"], torch.zeros_like(begun[f"{row}.bias"])
        for step, (rate, ratio) in enumerate(zip(rates, found, strict=True)):
            velocity = MOMENTUM * velocity + rate * ratio * gradients[f"{row}.bias"][step]
            bias = bias - velocity
            torch.testing.assert_close(values[f"{row}.bias"][step], bias, rtol=1e-10, atol=1e-12)
    assert ratios["conv1"] != ratios["fc2"]


def test_lars_does_not_depend_on_the_scale_of_gradients(small_net: Net) -> None:
    """Without decay a step is as long as rate, trust and weights say."""
    recipe = recipe_of(0.5, update="lars", trust=0.01, weight_decay=0.0)
    small, large = (drive(small_net, recipe, 1, gradient=gradient)["conv1.weight"] for gradient in (1e-3, 1e3))
    assert small == pytest.approx(large, rel=1e-6)
    assert small[1] == pytest.approx(1 - 0.5 * 0.01, rel=1e-6)


@pytest.mark.parametrize(("start", "gradient"), [(0.0, 0.5), (1.0, 0.0)])
def test_lars_leaves_the_rate_where_there_is_no_norm(start: float, gradient: float, small_net: Net) -> None:
    recipe = recipe_of(0.1, update="lars", weight_decay=0.0)
    assert drive(small_net, recipe, 1, gradient=gradient, start=start)["fc2.weight"][1] == pytest.approx(
        start - 0.1 * gradient, rel=1e-6
    )


def test_a_warm_up_takes_its_share_of_every_rate(small_net: Net) -> None:
    optimizer = Sgd2012(small_net, recipe_of(0.4, biases=Steps(0.8)))
    optimizer.set_rates(0, share=0.25)
    assert {key: pytest.approx(rate) for key, rate in optimizer.rates.items()} == {
        "conv1.weight": 0.1, "conv1.bias": 0.2, "fc2.weight": 0.1, "fc2.bias": 0.2,
    }  # fmt: skip
