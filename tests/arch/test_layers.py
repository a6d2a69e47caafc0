import pytest

from alexnet.arch import find
from alexnet.arch.layers import TORCHVISION_MODULES, feature_row
from alexnet.arch.rows import ACTIVATIONS
from alexnet.errors import UnknownNameError


def test_a_row_means_its_activation_and_pre_itself() -> None:
    spec = find("krizhevsky-145")
    asked = ["conv1", "conv2", "conv2:pre", "pool5", "fc7", "fc7:pre", "fc8"]
    assert [feature_row(spec, layer) for layer in asked] == [
        *("conv1", "relu2", "conv2", "relu5", "relu7", "fc7", "fc8"),
    ]


def test_torchvisions_modules_are_the_rows_in_their_order_but_for_its_first_dropout() -> None:
    rows = [row.name for row in find("one-weird-trick").rows]
    assert [*TORCHVISION_MODULES.values()] == [name for name in rows if name not in ("drop5", "drop7", "prob")]


def test_a_module_of_torchvisions_means_what_it_gives_itself() -> None:
    spec = find("one-weird-trick", num_classes=7)
    for module, row in TORCHVISION_MODULES.items():
        assert feature_row(spec, module) == row
    assert not isinstance(spec[feature_row(spec, "classifier.4")], ACTIVATIONS)
    assert feature_row(spec, "fc7") == feature_row(spec, "classifier.5") == "relu7"


@pytest.mark.parametrize("net", ["caffe", "one-weird-trick+tanh"])
def test_other_nets_have_no_such_modules(net: str) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown layer 'features\.0'") as caught:
        feature_row(find(net), "features.0")
    assert "torchvision" not in str(caught.value)


def test_an_unknown_layer_of_torchvisions_net_is_told_all_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layer 'features\.13'; did you mean features\.") as caught:
        feature_row(find("one-weird-trick"), "features.13")
    line = str(caught.value)
    assert "the rows of one-weird-trick: conv1, relu1" in line
    assert line.endswith("or torchvision's modules: " + ", ".join(TORCHVISION_MODULES) + ")")
    assert "\n" not in line
