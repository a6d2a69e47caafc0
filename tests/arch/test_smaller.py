import pytest

from alexnet.arch import find
from alexnet.arch.rows import AdaptiveAvgPool, Conv, Fc, Softmax
from alexnet.arch.shapes import measure
from alexnet.arch.smaller import smaller
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError


def weights(spec: Spec) -> list[tuple[str, tuple[int, ...]]]:
    return [(shape.row.name, shape.weight) for shape in measure(spec) if shape.weight]


@pytest.mark.parametrize("input_size", [96, 112, 160, 192])
@pytest.mark.parametrize("name", ["krizhevsky-145", "paper-2012+half", "caffe", "one-weird-trick"])
def test_every_weight_keeps_its_shape_and_the_map_before_fc6_its_size(name: str, input_size: int) -> None:
    spec = find(name, num_classes=200)
    small = smaller(spec, input_size)
    assert weights(small) == weights(spec)
    assert small.input == (3, input_size, input_size)
    by_name = {shape.row.name: shape for shape in measure(small)}
    assert by_name["fc6"].input == (256, 6, 6)
    assert by_name["pool5"].output[1] < 6


def test_only_a_map_that_does_not_fit_is_spread() -> None:
    spec = find("krizhevsky-145")
    assert smaller(spec, 224) == spec
    small = smaller(spec, 112)
    added = [row for row in small.rows if row.name not in spec]
    assert added == [AdaptiveAvgPool("spread_fc6", 6, inputs=("relu5",))]
    assert small.without_rows({"spread_fc6"}) == spec.with_input(112)


def test_two_towers_with_a_dense_row_each_are_spread_both() -> None:
    rows = (
        Conv("left", 4, 3),
        Conv("right", 4, 3, inputs=("image",)),
        Fc("fc_left", 5, inputs=("left",)),
        Fc("fc_right", 5, inputs=("right",)),
        Fc("fc", 3, inputs=("fc_left", "fc_right")),
        Softmax("prob"),
    )
    spec = Spec(name="towers", source="a test", published_error="", input=(3, 8, 8), rows=rows)
    small = smaller(spec, 5)
    assert weights(small) == weights(spec)
    assert [row.name for row in small.rows if row.name not in spec] == ["spread_fc_left", "spread_fc_right"]


def test_weights_of_a_place_and_images_of_nothing_are_refused() -> None:
    with pytest.raises(SpecError, match="row local3 fits images of 24 pixels alone"):
        smaller(find("cifar-11pct"), 16)
    with pytest.raises(SpecError, match="use larger images"):
        smaller(find("krizhevsky-145"), 16)
