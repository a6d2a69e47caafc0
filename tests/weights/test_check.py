from dataclasses import replace

import numpy as np
import pytest

from alexnet.arch import NETS, find
from alexnet.arch.spec import Spec
from alexnet.errors import WeightsError
from alexnet.weights import Weights, check_tensors
from alexnet.weights.check import nets_of, tensor_shapes


def zeros(spec: Spec) -> dict[str, np.ndarray]:
    return {key: np.zeros(shape, np.float32) for key, shape in tensor_shapes(spec).items()}


@pytest.mark.parametrize("name", ["cifar-18pct", "cifar-11pct", "digits", "cifar-18pct+tanh"])
def test_the_tensors_of_a_built_net_pass(name: str) -> None:
    nn = pytest.importorskip("alexnet.nn")
    spec = find(name)
    check_tensors(spec, {key: tensor.numpy() for key, tensor in nn.build(spec).state_dict().items()})


@pytest.mark.parametrize("name", NETS)
def test_every_net_is_known_by_its_shapes(name: str) -> None:
    assert name in nets_of(tensor_shapes(find(name, num_classes=7)))


def test_an_ablation_is_known_by_its_shapes() -> None:
    assert "krizhevsky-145+half" in nets_of(tensor_shapes(find("krizhevsky-145+half")))


def test_weights_of_another_net_are_named() -> None:
    with pytest.raises(
        WeightsError, match=r"^weights of digits, not of cifar-18pct: missing .*; unknown .*fc4\.weight"
    ):
        check_tensors(find("cifar-18pct"), zeros(find("digits")))


def test_another_number_of_classes_is_said_so() -> None:
    with pytest.raises(WeightsError, match="weights for 7 classes, not the 10 of this digits"):
        check_tensors(find("digits"), zeros(find("digits", num_classes=7)))


def test_a_net_that_only_has_the_name_of_one_is_not_told_of_classes() -> None:
    """Such as a definition of Caffe's that somebody has changed and not renamed."""
    known = find("digits", num_classes=5)
    changed = known.with_rows({"conv1": replace(known["conv1"], kernel_size=7)})
    with pytest.raises(WeightsError) as caught:
        check_tensors(changed, zeros(known))
    assert str(caught.value).startswith(
        "weights of digits as it is known here, not of this net, which has only its name: of another shape conv1.weight"
    )
    with pytest.raises(WeightsError, match="weights for 5 classes, not the 7 of this digits: "):
        check_tensors(changed.with_classes(7), zeros(changed))


def test_missing_extra_and_misshaped_keys_are_all_named(tiny_weights: Weights) -> None:
    tensors = dict(tiny_weights.tensors)
    tensors["fc9.weight"] = tensors.pop("fc3.weight")
    tensors["conv2.bias"] = tensors["conv2.bias"][:3]
    with pytest.raises(WeightsError) as caught:
        check_tensors(tiny_weights.spec, tensors)
    assert str(caught.value) == (
        "not weights of tiny: missing fc3.weight; unknown fc9.weight; of another shape conv2.bias is (3,), not (8,)"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(tiny_weights: Weights, value: float) -> None:
    tiny_weights.tensors["fc4.bias"][2] = value
    with pytest.raises(WeightsError, match=r"NaN or infinity in fc4\.bias"):
        check_tensors(tiny_weights.spec, tiny_weights.tensors)


def test_other_number_formats_are_refused(tiny_weights: Weights) -> None:
    tensors = tiny_weights.tensors | {"fc4.bias": np.zeros(6)}
    with pytest.raises(WeightsError, match=r"must be float32; fc4\.bias \(float64\)"):
        check_tensors(tiny_weights.spec, tensors)


def test_classes_and_crops_must_fit_the_net(tiny_weights: Weights) -> None:
    with pytest.raises(WeightsError, match="tells 6 classes apart, but 5 are named"):
        replace(tiny_weights, classes=tiny_weights.classes[:5])
    with pytest.raises(WeightsError, match="crops are 3 x 8 x 8"):
        replace(tiny_weights, preprocessing=replace(tiny_weights.preprocessing, crop=8))
