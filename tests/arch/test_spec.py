from dataclasses import FrozenInstanceError, replace

import pytest

from alexnet.arch import NETS
from alexnet.arch.rows import ROW_TYPES, Concat, Conv, Dropout, Fc, MaxPool, Relu, Row, Softmax, Sum
from alexnet.arch.spec import IMAGE, MOST_ROWS, Spec
from alexnet.errors import SpecError

# A graph: a branch of one convolution goes around two others, and all three end in fc5.
GRAPH = (
    Conv("conv1", 4, 3, padding=1),
    Relu("relu1"),
    Conv("conv2", 4, 3, padding=1, inputs=("relu1",)),
    Relu("relu2"),
    Conv("conv3", 4, 3, padding=1, inputs=("relu1",)),
    Relu("relu3"),
    Conv("conv4", 2, 3, padding=1, inputs=("relu2", "relu3")),
    Fc("fc5", 3, inputs=("conv4", "relu1", "image")),
    Softmax("prob"),
)


def spec_of(*rows: Row) -> Spec:
    return Spec(name="test", source="this file", input=(3, 8, 8), rows=rows)


def reads(spec: Spec) -> dict[str, tuple[str, ...]]:
    return {row.name: spec.inputs_of(row) for row in spec.rows}


def test_a_row_reads_the_row_above_unless_it_names_others():
    assert reads(spec_of(*GRAPH)) == {
        "conv1": (IMAGE,),
        "relu1": ("conv1",),
        "conv2": ("relu1",),
        "relu2": ("conv2",),
        "conv3": ("relu1",),
        "relu3": ("conv3",),
        "conv4": ("relu2", "relu3"),
        "fc5": ("conv4", "relu1", IMAGE),
        "prob": ("fc5",),
    }


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ((), "must end"),
        ((Fc("fc1", 2),), "must end"),
        ((Softmax("prob"),), "must end"),
        ((Fc("fc1", 2), Softmax("prob"), Relu("relu1")), "must end"),
        ((Fc("fc1", 2), Relu("relu1"), Softmax("prob")), "must end"),
        ((Fc("fc1", 2), Fc("fc2", 2), Softmax("prob", inputs=("fc1", "fc2"))), "must end"),
        ((Relu("fc1"), Fc("fc1", 2), Softmax("prob")), "'fc1' is taken"),
        ((Relu(IMAGE), Fc("fc1", 2), Softmax("prob")), "'image' is taken"),
        ((Relu("relu.1"), Fc("fc1", 2), Softmax("prob")), "not an identifier"),
        ((Relu("relu1", inputs=("fc1",)), Fc("fc1", 2), Softmax("prob")), "relu1 reads fc1"),
        ((Relu("relu1", inputs=("relu1",)), Fc("fc1", 2), Softmax("prob")), "relu1 reads relu1"),
    ],
)
def test_rows_that_make_no_net_are_refused(rows, word):
    with pytest.raises(SpecError, match=word):
        spec_of(*rows)


@pytest.mark.parametrize(
    "row",
    [
        Conv("row", 0, 3),
        Conv("row", 4, 0),
        Conv("row", 4, 3, stride=0),
        Conv("row", 4, 3, padding=-1),
        Conv("row", 4, 3, groups=0),
        MaxPool("row", 0, 2),
        MaxPool("row", 3, 0),
        Fc("row", 0),
    ],
)
def test_impossible_settings_are_refused_with_the_row(row):
    with pytest.raises(SpecError, match="row"):
        spec_of(row, Fc("fc", 2), Softmax("prob"))


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_a_spec_cannot_be_changed(net):
    with pytest.raises(FrozenInstanceError):
        net.name = "other"
    with pytest.raises(FrozenInstanceError):
        net.rows[0].name = "other"


def test_row_kinds_are_named_after_their_types():
    kinds = (
        "conv local fc lrn same_map_norm contrast_norm max_pool avg_pool random_pool adaptive_avg_pool relu tanh "
        "logistic concat sum select blur subsample mirror dropout softmax"
    )
    assert list(ROW_TYPES) == kinds.split()
    assert [row_type.__name__ for row_type in ROW_TYPES.values()] == [
        "".join(word.title() for word in kind.split("_")) for kind in kinds.split()
    ]


def test_rows_are_found_by_name():
    spec = spec_of(*GRAPH)
    assert spec["conv3"] == GRAPH[4]
    assert "conv3" in spec
    assert "conv9" not in spec
    with pytest.raises(KeyError, match="conv9"):
        spec["conv9"]
    assert spec.classifier == GRAPH[-2]


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_another_number_of_classes_changes_the_last_fc_row_alone(net):
    other = net.with_classes(7)
    assert other.num_classes == 7
    assert [a.name for a, b in zip(net.rows, other.rows, strict=True) if a != b] == [net.rows[-2].name]
    assert other.with_classes(net.num_classes) == net
    with pytest.raises(SpecError, match="at least 2"):
        net.with_classes(1)


def test_a_replaced_row_keeps_its_place():
    spec = spec_of(*GRAPH)
    wider = replace(GRAPH[2], out_channels=9)
    assert spec.with_rows({"conv2": wider}).rows == (*GRAPH[:2], wider, *GRAPH[3:])


def test_readers_of_a_dropped_row_read_what_it_read():
    spec = spec_of(*GRAPH)
    assert reads(spec.without_rows({"relu1"}))["conv2"] == ("conv1",)
    assert reads(spec.without_rows({"relu1"}))["fc5"] == ("conv4", "conv1", IMAGE)
    assert reads(spec.without_rows({"relu1", "conv1"}))["conv3"] == (IMAGE,)
    assert reads(spec.without_rows({"relu2", "relu3"}))["conv4"] == ("conv2", "conv3")


def test_classes_in_several_rows_stay_as_many() -> None:
    """Only who wrote the net knows which row gets how many; the error names the rows."""
    net = spec_of(Fc("few", 2), Fc("rest", 5, inputs=(IMAGE,)), Concat("all", inputs=("few", "rest")), Softmax("prob"))
    assert [row.name for row in net.classifier_rows] == ["few", "rest"]
    assert net.has_classes_in_parts
    assert net.with_classes(7) == net
    with pytest.raises(SpecError, match=r"several rows \(few has 2, rest has 5\); for 9 write other outputs"):
        net.with_classes(9)


def test_rows_that_are_added_up_all_get_the_classes() -> None:
    net = spec_of(
        Fc("one", 7),
        Fc("other", 7, inputs=(IMAGE,), has_bias=False),
        Sum("both", inputs=("one", "other")),
        Softmax("prob"),
    )
    assert not net.has_classes_in_parts
    changed = net.with_classes(9)
    assert changed.num_classes == 9
    assert [row.out_features for row in changed.classifier_rows] == [9, 9]
    assert changed.with_classes(7) == net


def test_readers_of_a_dropped_row_with_several_inputs_read_them_all_in_order():
    assert reads(spec_of(*GRAPH).without_rows({"conv4", "relu2"}))["fc5"] == ("conv2", "relu3", "relu1", IMAGE)


def test_a_chain_without_some_rows_is_written_as_a_chain():
    chain = (Conv("conv1", 4, 3), Relu("relu1"), Dropout("drop1"), Fc("fc2", 2), Softmax("prob"))
    assert spec_of(*chain).without_rows({"relu1", "drop1"}).rows == (chain[0], *chain[3:])


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_dropout_drops_a_part(rate):
    with pytest.raises(SpecError, match="drop"):
        Spec("net", "a test", (3, 4, 4), (Dropout("drop", rate), Fc("fc", 2), Softmax("prob")))


def test_sums_of_sums_are_counted_once_each():
    """Followed up every way there is, forty of them would be a million million."""
    sums = [Sum(f"sum{number}", inputs=(f"sum{number - 1}",) * 2 if number else ("fc", "fc")) for number in range(40)]
    both = Concat("both", inputs=("sum39", "fc"))
    spec = Spec(name="x", source="a test", input=(3, 8, 8), rows=(Fc("fc", 3), *sums, both, Softmax("prob")))
    assert spec.num_classes == 6


def test_a_net_has_a_number_of_rows_that_can_be_looked_through():
    rows = (*(Relu(f"relu{number}") for number in range(MOST_ROWS)), Fc("fc", 3), Softmax("prob"))
    with pytest.raises(SpecError, match="x has 514 rows; a net may have 512"):
        Spec(name="x", source="a test", input=(3, 8, 8), rows=rows)
