from alexnet.arch import find
from alexnet.arch.shapes import measure
from alexnet.interop.torchvision import ROWS, rename, to_torchvision


def test_every_row_with_weights_has_a_name() -> None:
    rows = [shape.row.name for shape in measure(find("one-weird-trick")) if shape.weight]
    assert list(ROWS.values()) == rows
    assert list(ROWS) == [f"features.{number}" for number in (0, 3, 6, 8, 10)] + [
        f"classifier.{number}" for number in (1, 4, 6)
    ]


def test_keys_become_ours_also_out_of_data_parallel_and_others_stay() -> None:
    keys = ["features.0.weight", "features.module.10.bias", "module.classifier.6.weight", "features.1.weight", "x"]
    assert list(rename(dict.fromkeys(keys))) == ["conv1.weight", "conv5.bias", "fc8.weight", "features.1.weight", "x"]


def test_keys_become_theirs_and_ours_again() -> None:
    keys = dict.fromkeys(f"{row}.{part}" for row in ROWS.values() for part in ("weight", "bias"))
    theirs = to_torchvision(keys)
    assert [key for key in theirs if key.endswith("bias")] == [f"{module}.bias" for module in ROWS]
    assert list(rename(theirs)) == list(keys)
