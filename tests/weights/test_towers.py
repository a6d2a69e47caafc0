"""A net in two towers and the same net in one: equal parameters, logits and gradients, or no net in one at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alexnet.arch import NETS, find
from alexnet.arch.rows import Concat, Conv, Dropout, Fc, Local, Lrn, MaxPool, Relu, Row, Select, Softmax, Sum
from alexnet.arch.shapes import total_params
from alexnet.arch.spec import Spec
from alexnet.arch.towers import Merged, merge, renamed_as, split
from alexnet.errors import SpecError
from alexnet.interop.cuda_convnet.config import read_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.nn import build
from alexnet.weights.towers import merge_tensors, split_tensors

NET_145 = Path(__file__).parents[1] / "interop/cuda_convnet/nets/layers-145.cfg"


@pytest.fixture(scope="module")
def written() -> Spec:
    """Net 145 as its definition file has it."""
    return define(read_sections(NET_145), {}, name="layers-145", source="test", input_size=None).spec


@pytest.fixture(scope="module")
def merged(written: Spec) -> Merged:
    return merge(written)


def test_the_written_net_merges_into_ours(written: Spec, merged: Merged) -> None:
    names = renamed_as(merged.spec, NETS["krizhevsky-145"])
    assert names is not None
    assert (names["fc2048ba"], names["fc1000"], names["cnorm2"]) == ("fc7", "fc8", "rnorm2")
    assert total_params(written) == total_params(merged.spec) == 60_965_224


def test_the_second_tower_s_reversed_inputs_are_put_in_order(merged: Merged) -> None:
    first, second = merged.pieces["fc2048ba"]
    assert first.columns == (range(2048), range(2048, 4096))
    assert second.columns == (range(2048, 4096), range(2048))


def test_logits_and_gradients_are_equal(written: Spec, merged: Merged) -> None:
    towers, whole = build(written, seed=0).eval(), build(merged.spec, seed=1).eval()
    tensors = {key: tensor.numpy() for key, tensor in towers.state_dict().items()}
    joined = merge_tensors(merged, tensors)
    whole.load_state_dict({key: torch.from_numpy(tensor.copy()) for key, tensor in joined.items()})
    images, labels = torch.randn(2, 3, 224, 224) * 60, torch.tensor([3, 999])
    outputs = [net(images) for net in (towers, whole)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    gradients = []
    for net, logits in zip((towers, whole), outputs, strict=True):
        F.cross_entropy(logits, labels).backward()
        gradients.append({name: parameter.grad.numpy() for name, parameter in net.named_parameters()})
    of_towers = merge_tensors(merged, gradients[0])
    for name, gradient in gradients[1].items():
        assert np.abs(of_towers[name] - gradient).max() <= 1e-4 * np.abs(gradient).max(), name


def test_weights_taken_apart_and_laid_together_are_the_same(merged: Merged) -> None:
    rng = np.random.default_rng(0)
    net = build(merged.spec.with_classes(10), seed=0)
    small = Merged(net.spec, {**merged.pieces, "fc1000": (merged.pieces["fc1000"][0]._replace(outputs=10),)})
    tensors = {key: rng.normal(size=tensor.shape).astype(np.float32) for key, tensor in net.state_dict().items()}
    again = merge_tensors(small, split_tensors(small, tensors))
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)


@pytest.mark.parametrize("name", ["krizhevsky-145", "paper-2012", "krizhevsky-145+no-talk", "cifar-18pct", "digits"])
def test_what_is_split_merges_into_what_it_was(name: str) -> None:
    spec = find(name)
    try:
        towers = split(spec)
    except SpecError:
        assert name in ("digits",)
        return
    again = merge(towers.spec)
    assert renamed_as(again.spec, spec) is not None
    assert total_params(towers.spec) == total_params(spec)


def test_a_norm_across_the_towers_cannot_be_split() -> None:
    with pytest.raises(SpecError, match="norm1"):
        split(find("caffe"))


def conv(name: str, *inputs: str, outputs: int = 4, groups: int = 1) -> Conv:
    return Conv(name, outputs, 3, padding=1, groups=groups, inputs=inputs)


def in_each(kind: type[Row], name: str, *inputs: str, towers: str = "ab", **settings: Any) -> tuple[Row, ...]:
    """A row in each tower; x stands for the tower's letter."""
    return tuple(
        kind(f"{name}{tower}", inputs=tuple(read.replace("x", tower) for read in inputs), **settings)
        for tower in towers
    )


def net_of(*rows: Row) -> Spec:
    return Spec(name="net", source="test", input=(3, 6, 6), rows=rows)


def ending(*inputs: str) -> tuple[Row, ...]:
    return (Fc("fc", 5, inputs=inputs), Softmax("probs"))


SMALL = {"out_channels": 4, "kernel_size": 3, "padding": 1}
ONE = in_each(Conv, "c1", "image", **SMALL)
TWO = (*ONE, *in_each(Conv, "c2", "c1x", **SMALL))
MET = (*in_each(Conv, "c3", "c2a", "c2b", **SMALL), *ending("c3a", "c3b"))
FOUR = (
    *in_each(Conv, "c1", "image", towers="abcd", **SMALL),
    *in_each(Conv, "c2", "c1x", towers="abcd", **SMALL),
)
ALL_FOUR = ending("c3d", "c3b", "c3c", "c3a")

MERGED: dict[str, tuple[Row, ...]] = {
    "towers that meet in the end": (*TWO, *ending("c2a", "c2b")),
    "the end lists the second first": (*TWO, *ending("c2b", "c2a")),
    "towers that meet": (*TWO, *MET),
    "the second is written first": (conv("c1b", "image"), conv("c1a", "image"), *TWO[2:], *MET),
    "towers that change places": (*ONE, conv("c2a", "c1b"), conv("c2b", "c1a"), *MET),
    "no towers": (conv("c1", "image"), conv("c2", "c1"), conv("c3", "c2", "c1"), *ending("c3", "image")),
    "groups in each tower": (*ONE, *in_each(Conv, "c2", "c1x", **SMALL, groups=2), *MET),
    "map by map": (
        *ONE, *in_each(MaxPool, "pool", "c1x", kernel_size=3, stride=2), *in_each(Relu, "relu", "poolx"),
        *in_each(Lrn, "norm", "relux", size=3, alpha=1.0), *in_each(Dropout, "drop", "normx"),
        *in_each(Fc, "fc6", "dropx", out_features=4), *ending("fc6b", "fc6a"),
    ),
    "what both read is in no tower": (
        conv("c0", "image"), *in_each(Conv, "c1", "c0", **SMALL), *in_each(Conv, "c2", "c0", "c1a", "c1b", **SMALL),
        *ending("c2b", "c0", "c2a"),
    ),
    "two pairs in another order": (
        *TWO, Fc("fc6a", 4, inputs=("c1a", "c1b", "c2a", "c2b")), Fc("fc6b", 4, inputs=("c2b", "c2a", "c1a", "c1b")),
        *ending("fc6a", "fc6b"),
    ),
    "two pairs in any order": (
        *TWO, Fc("fc6a", 4, inputs=("c2b", "c1a", "c2a", "c1b")), Fc("fc6b", 4, inputs=("c1b", "c2a", "c2b", "c1a")),
        *ending("fc6a", "fc6b"),
    ),
    "a sum in each tower": (*TWO, *in_each(Sum, "sum", "c1x", "c2x", coefficients=(1.0, 2.0)), *ending("suma", "sumb")),
    "a sum of one row twice": (
        *ONE, *in_each(Sum, "sum", "c1x", "c1x", coefficients=(1.0, 2.0)), *ending("sumb", "suma"),
    ),
    "both, stacked": (
        *TWO, Concat("all", inputs=("c2a", "c2b")), Local("local", 2, 3, inputs=("all",)), *ending("local"),
    ),
    "groups of both, stacked": (*TWO, Conv("c3", 4, 3, groups=2, inputs=("c2a", "c2b")), *ending("c3")),
    "four towers": (*FOUR, *ending("c2c", "c2a", "c2d", "c2b")),
    "four towers that meet": (
        *FOUR, *in_each(Conv, "c3", "c2a", "c2b", "c2c", "c2d", towers="abcd", **SMALL), *ALL_FOUR,
    ),
    "four towers that meet in twos": (
        *FOUR, *in_each(Conv, "c3", "c2a", "c2b", **SMALL), *in_each(Conv, "c3", "c2c", "c2d", towers="cd", **SMALL),
        *ALL_FOUR,
    ),
}  # fmt: skip

REFUSED: dict[str, tuple[str, tuple[Row, ...]]] = {
    "two of its own tower": ("c3a", (*TWO, *in_each(Conv, "c3", "c1x", "c2x", **SMALL), *ending("c3a", "c3b"))),
    "two of its own tower, fc": (
        "f6a", (*TWO, *in_each(Fc, "f6", "c1x", "c2x", out_features=4), *ending("f6a", "f6b")),
    ),
    "two of its own tower, relu": ("ra", (*TWO, *in_each(Relu, "r", "c1x", "c2x"), *ending("ra", "rb"))),
    "two of its own tower, norm": ("na", (*TWO, *in_each(Lrn, "n", "c1x", "c2x", alpha=1.0), *ending("na", "nb"))),
    "one of its own and a shared": (
        "c2a", (conv("c0", "image"), *in_each(Conv, "c1", "c0", **SMALL), *in_each(Conv, "c2", "c0", "c1x", **SMALL),
                *ending("c2a", "c2b")),
    ),
    "one of its own and all": (
        "c3a", (*TWO, *in_each(Conv, "c3", "c1x", "c2a", "c2b", **SMALL), *ending("c3a", "c3b")),
    ),
    "four that meet as a, c and b, d": (
        "c3a", (*FOUR, *in_each(Conv, "c3", "c2a", "c2c", towers="ac", **SMALL),
                *in_each(Conv, "c3", "c2b", "c2d", towers="bd", **SMALL), *ALL_FOUR),
    ),
    "towers that cross, then two of one": (
        "c3a", (*ONE, conv("c2a", "c1b"), conv("c2b", "c1a"), *in_each(Conv, "c3", "c1x", "c2x", **SMALL),
                *ending("c3a", "c3b")),
    ),
    "towers that cross, then a sum": (
        "sa", (*ONE, conv("c2a", "c1b"), conv("c2b", "c1a"), *in_each(Sum, "s", "c1x", "c2x"), *ending("sa", "sb")),
    ),
    "a sum in another order": (
        "sa", (*TWO, Sum("sa", coefficients=(1.0, 2.0), inputs=("c1a", "c2a")),
               Sum("sb", coefficients=(1.0, 2.0), inputs=("c2b", "c1b")), *ending("sa", "sb")),
    ),
    "a sum of both towers": ("sum", (*TWO, Sum("sum", inputs=("c2a", "c2b")), *ending("sum"))),
    "a sum of both towers in each": ("sa", (*TWO, *in_each(Sum, "s", "c2a", "c2b"), *ending("sa", "sb"))),
    "a softmax in each": (
        "sa", (*ONE, *in_each(Fc, "f", "c1x", out_features=4), *in_each(Softmax, "s", "fx"), *ending("sa", "sb")),
    ),
    "the same of what is shared": ("ra", (conv("c0", "image"), *in_each(Relu, "r", "c0"), *ending("ra", "rb"))),
    "the same of both": ("ra", (*ONE, *in_each(Relu, "r", "c1a", "c1b"), *ending("ra", "rb"))),
    "groups of both in each": (
        "c2a", (*ONE, *in_each(Conv, "c2", "c1a", "c1b", **SMALL, groups=2), *ending("c2a", "c2b")),
    ),
    "groups of both, the second first": ("c2", (*ONE, conv("c2", "c1b", "c1a", groups=2), *ending("c2"))),
    "stacked, the second first": ("all", (*TWO, Concat("all", inputs=("c2b", "c2a")), *ending("all"))),
    "unshared filters in each": (
        "la", (*ONE, *in_each(Local, "l", "c1x", out_channels=2, kernel_size=3), *ending("la", "lb")),
    ),
    "maps by number in each": ("sa", (*ONE, *in_each(Select, "s", "c1x", channels=(3, 0)), *ending("sa", "sb"))),
    "one tower alone reads both": ("c2b", (*ONE, conv("c2a", "c1a", "c1b"), conv("c2b", "c1b"), *ending("c2a", "c2b"))),
    "a row twice": ("c2a", (*ONE, conv("c2a", "c1a"), conv("c2b", "c1b", "c1b"), *ending("c2a", "c2b"))),
}  # fmt: skip


def logits(spec: Spec, tensors: Mapping[str, Any], images: torch.Tensor) -> torch.Tensor:
    net = build(spec, seed=1).double().eval()
    net.load_state_dict({key: torch.from_numpy(np.ascontiguousarray(tensor)) for key, tensor in tensors.items()})
    with torch.no_grad():
        return net(images)


def drawn(spec: Spec) -> tuple[dict[str, Any], torch.Tensor]:
    """Weights and images at random, in float64."""
    rng = np.random.default_rng(0)
    tensors = {key: rng.normal(size=tensor.shape) / 3 for key, tensor in build(spec, seed=0).state_dict().items()}
    return tensors, torch.from_numpy(rng.normal(size=(2, *spec.input)))


@pytest.mark.parametrize("rows", MERGED.values(), ids=MERGED)
def test_a_merged_net_gives_the_logits_of_its_towers(rows: tuple[Row, ...]) -> None:
    towers = net_of(*rows)
    merged = merge(towers)
    tensors, images = drawn(towers)
    wanted, found = logits(towers, tensors, images), logits(merged.spec, merge_tensors(merged, tensors), images)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert total_params(merged.spec) == total_params(towers)
    again = split_tensors(merged, merge_tensors(merged, tensors))
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)
    has_towers = any(name.endswith("a") for name in (row.name for row in towers.rows))
    assert (len(merged.spec.rows) < len(towers.rows)) == has_towers


@pytest.mark.parametrize(("row", "rows"), REFUSED.values(), ids=REFUSED)
def test_what_one_net_cannot_compute_is_not_merged(row: str, rows: tuple[Row, ...]) -> None:
    with pytest.raises(SpecError, match=rf"^net: row {row} "):
        merge(net_of(*rows))


def test_a_row_of_another_size_than_its_towers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last safeguard, should a mistake get past all the rest."""
    monkeypatch.setattr("alexnet.arch.towers._with_outputs", lambda row, outputs: row)
    with pytest.raises(
        SpecError, match=r"^net: row c1 would have output \(4, 6, 6\) where its towers have \[\(4, 6, 6\), "
    ):
        merge(net_of(*ONE, *ending("c1a", "c1b")))


WHOLE = (conv("c1", "image"), conv("c2", "c1", groups=2))

SPLIT: dict[str, tuple[Row, ...]] = {
    "groups": (*WHOLE, *ending("c2")),
    "rows of both": (*WHOLE, conv("c3", "c1", "c2"), conv("c4", "c3", groups=2), *ending("c4", "c1")),
    "groups in each tower": (
        *WHOLE, conv("c3", "c2", groups=4), MaxPool("pool", 3, 2), Lrn("norm", groups=2), *ending("norm"),
    ),
    "a sum": (
        *WHOLE, Sum("sum", inputs=("c1", "c2"), coefficients=(1.0, 2.0)), conv("c3", "sum", groups=2), *ending("c3"),
    ),
    "fc groups": (*WHOLE, Fc("fc6", 4, groups=2, inputs=("c2",)), Relu("relu"), Dropout("drop"), *ending("drop")),
    "groups of the image": (Conv("c0", 6, 3, groups=3), conv("c1", "c0"), conv("c2", "c1", groups=2), *ending("c2")),
}  # fmt: skip

NOT_SPLIT: dict[str, tuple[str, tuple[Row, ...]]] = {
    "groups of two rows": ("c3", (*WHOLE, conv("c3", "c1", "c2", groups=2), *ending("c3"))),
    "fc groups of two rows": ("fc6", (*WHOLE, Fc("fc6", 4, groups=2, inputs=("c1", "c2")), *ending("fc6"))),
    "a norm of two rows": ("norm", (*WHOLE, Lrn("norm", groups=2, inputs=("c1", "c2")), *ending("norm"))),
    "a softmax inside": ("s", (*WHOLE, Fc("fc6", 4, groups=2), Softmax("s"), *ending("s"))),
    "two rows at once": ("relu", (*WHOLE, Relu("relu", inputs=("c1", "c2")), *ending("relu"))),
    "two rows stacked": ("all", (*WHOLE, Concat("all", inputs=("c1", "c2")), *ending("all"))),
    "a sum with what is in no tower": (
        "sum", (Local("l", 4, 3, padding=1), conv("c1", "l"), Sum("sum", inputs=("l", "c1")), *ending("sum")),
    ),
    "three groups": ("c2", (conv("c1", "image", outputs=6), conv("c2", "c1", groups=3, outputs=6), *ending("c2"))),
}  # fmt: skip


@pytest.mark.parametrize("rows", SPLIT.values(), ids=SPLIT)
def test_a_split_net_gives_the_logits_of_the_whole(rows: tuple[Row, ...]) -> None:
    whole = net_of(*rows)
    towers = split(whole)
    tensors, images = drawn(whole)
    wanted, found = logits(whole, tensors, images), logits(towers.spec, split_tensors(towers, tensors), images)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert len(towers.spec.rows) > len(whole.rows)


@pytest.mark.parametrize(("row", "rows"), NOT_SPLIT.values(), ids=NOT_SPLIT)
def test_what_no_tower_can_compute_alone_is_not_split(row: str, rows: tuple[Row, ...]) -> None:
    with pytest.raises(SpecError, match=rf"^net: row {row} "):
        split(net_of(*rows))
