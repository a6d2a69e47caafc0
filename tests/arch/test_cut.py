"""Nets in parts: which rows cross is that of the paper, and parts have together what the whole has."""

from dataclasses import replace

import pytest

from alexnet.arch import find
from alexnet.arch.cut import at_first_fc, cut
from alexnet.arch.rows import Concat, Conv, Fc, Lrn, Relu, Softmax
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError


def crossing(name: str, parts: int = 2) -> list[str]:
    return [row.name for row in cut(find(name), parts) if row.crosses]


def test_the_towers_of_2012_meet_in_conv3_and_in_the_dense_rows() -> None:
    assert crossing("krizhevsky-145") == ["conv3", "fc6", "fc7", "fc8"]
    assert crossing("cifar-towers") == ["conv3", "fc10"]


@pytest.mark.parametrize(("name", "parts"), [("krizhevsky-145", 2), ("cifar-towers", 2), ("cifar-relu", 3)])
def test_parts_have_together_what_the_whole_has(name: str, parts: int) -> None:
    spec = find(name, num_classes=11)  # which does not divide
    rows = cut(spec, parts)
    assert [row.whole for row in rows] == list(measure(spec))
    for row in rows:
        assert len(row.parts) == len(row.spans) == parts
        if not row.is_cut:
            assert set(row.parts) == {row.whole}
            continue
        assert sum(part.output[0] for part in row.parts) == row.whole.output[0]
        assert {part.output[1:] for part in row.parts} == {row.whole.output[1:]}
        assert sum(part.macs for part in row.parts) <= row.whole.macs < sum(part.macs for part in row.parts) + parts
        for part, span in zip(row.parts, row.spans, strict=True):
            assert part.output[0] == span.size
            if row.whole.weight:
                assert part.weight == (span.size, *row.whole.weight[1:])


def test_a_part_is_a_row_that_can_be_measured_by_itself() -> None:
    """What is said of each part, its shapes and its weights, is what the row in it comes to when it stands alone."""
    for row in cut(find("krizhevsky-145"), 2):
        for part in row.parts:
            rows = (replace(part.row, inputs=()), Fc("last", 2), Softmax("end"))
            alone = Spec(name="alone", source="a test", input=part.input, rows=rows)
            if isinstance(part.row, Softmax):
                continue
            found = measure(alone)[0]
            assert (found.output, found.weight) == (part.output, part.weight)


def test_one_part_is_the_net_itself() -> None:
    assert all(row.parts == (row.whole,) and not row.crosses for row in cut(find("krizhevsky-145"), 1))


def spec_of(*rows: object) -> Spec:
    return Spec(name="small", source="a test", input=(3, 8, 8), rows=(*rows, Softmax("prob")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (find("caffenet"), "row norm1 reads across the 2 parts"),
        (spec_of(Conv("conv1", 4, 3), Lrn("norm1"), Fc("fc2", 4)), "row norm1 reads across the 2 parts"),
        (
            spec_of(
                Conv("a", 4, 3, inputs=(IMAGE,)),
                Conv("b", 4, 3, inputs=(IMAGE,)),
                Concat("both", inputs=("a", "b")),
                Fc("fc", 4),
            ),
            "row both reads across",
        ),
        (spec_of(Conv("conv1", 1, 3), Relu("relu1"), Fc("fc2", 4)), "row conv1 has 1 outputs, too few for 2 parts"),
    ],
)
def test_what_cannot_be_cut_is_named(spec: Spec, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        cut(spec, 2)
    assert words in str(refused.value)


def test_a_net_parts_before_its_first_fc_row() -> None:
    spec = find("krizhevsky-145")
    halves = at_first_fc(spec)
    assert halves.trunk[-1] == halves.last == "relu5"
    assert [row.name for row in halves.head.rows if isinstance(row, Fc)] == ["fc6", "fc7", "fc8"]
    assert halves.head.input == (256, 6, 6)
    whole, parted = measure(spec), measure(halves.head)
    assert [(each.row.name, each.weight) for each in whole[len(halves.trunk) :]] == [
        (each.row.name, each.weight) for each in parted
    ]


def test_an_fc_row_beside_others_cannot_be_parted() -> None:
    spec = spec_of(
        Conv("a", 4, 3, inputs=(IMAGE,)),
        Conv("b", 4, 3, inputs=(IMAGE,)),
        Fc("left", 4, inputs=("a",)),
        Fc("right", 4, inputs=("b",)),
        Concat("both", inputs=("left", "right")),
        Fc("fc", 4),
    )
    with pytest.raises(SpecError, match="its fc rows read a, b; they can be parted from one row alone"):
        at_first_fc(spec)
