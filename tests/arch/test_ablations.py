import pytest

from alexnet.arch import ABLATIONS, NETS, find
from alexnet.arch.rows import Conv, Dropout, Fc, Local, Lrn, MaxPool, Pool, Relu, SameMapNorm, Softmax, Tanh, Weighted
from alexnet.arch.shapes import measure, total_macs, total_params
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError

TWO_TOWERS = set(ABLATIONS)
DEFINED = {
    "krizhevsky-145": TWO_TOWERS,
    "paper-2012": TWO_TOWERS,
    "caffe": TWO_TOWERS,
    "caffenet": TWO_TOWERS,
    "one-weird-trick": {"tanh", "no-dropout", "without-conv3", "without-conv4", "without-conv5"},
    "cifar-80sec": {"tanh", "without-conv3"},
    "cifar-18pct": {"no-lrn", "tanh", "without-conv3"},
    "cifar-13pct": {"tanh"},
    "cifar-11pct": {"no-lrn", "tanh"},
    "cifar-relu": {"tanh", "without-conv3"},
    "cifar-towers": {"no-lrn", "ungrouped", "tanh", "without-conv3"},
    "digits": {"no-lrn", "ungrouped", "tanh", "no-dropout", "without-conv3"},
}
PAIRS = [(net, ablation) for net in NETS for ablation in ABLATIONS]
DEFINED_PAIRS = [(net, ablation) for net, ablation in PAIRS if ablation in DEFINED[net]]


def names(spec: Spec) -> list[str]:
    return [row.name for row in spec.rows]


def by_name(spec: Spec) -> dict[str, Conv]:
    return {row.name: row for row in spec.rows if isinstance(row, Conv)}


def test_the_ablations_are_those_of_the_design():
    wanted = "no-lrn no-overlap half ungrouped no-talk tanh no-dropout without-conv3 without-conv4 without-conv5"
    assert list(ABLATIONS) == wanted.split()


@pytest.mark.parametrize(("net", "ablation"), DEFINED_PAIRS)
def test_a_defined_ablation_gives_another_net_of_that_name(net, ablation):
    spec = find(f"{net}+{ablation}")
    assert spec.name == f"{net}+{ablation}"
    assert spec.published_error == ""
    assert spec.rows != NETS[net].rows
    assert measure(spec)[-1].output == (NETS[net].num_classes, 1, 1)


@pytest.mark.parametrize(("net", "ablation"), [pair for pair in PAIRS if pair not in DEFINED_PAIRS])
def test_an_undefined_ablation_is_refused_in_one_line(net, ablation):
    with pytest.raises(SpecError, match=net) as refusal:
        find(f"{net}+{ablation}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("net", "ablation"), DEFINED_PAIRS)
def test_nothing_can_be_taken_away_twice(net, ablation):
    with pytest.raises(SpecError, match=net):
        find(f"{net}+{ablation}+{ablation}")


# Facts, sections 1.1 and 2.3. By hand: one middle conv fewer loses 663,936; without conv5, fc6 sees 384 maps, not 256.
@pytest.mark.parametrize(
    ("ablation", "params"),
    [
        ("no-lrn", 60_965_224),
        ("no-overlap", 60_965_224),
        ("half", 59_798_312),
        ("ungrouped", 62_378_344),
        ("no-talk", 60_714_408),
        ("tanh", 60_965_224),
        ("no-dropout", 60_965_224),
        ("without-conv3", 60_965_224 - 663_936),
        ("without-conv4", 60_965_224 - 663_936),
        ("without-conv5", 60_965_224 - 442_624 + 128 * 36 * 4096),
    ],
)
@pytest.mark.parametrize("net", ["krizhevsky-145", "paper-2012", "caffe", "caffenet"])
def test_parameters_are_the_written_numbers(net, ablation, params):
    assert total_params(find(f"{net}+{ablation}")) == params


def test_the_net_of_most_drawings_has_the_often_quoted_multiply_adds():
    assert total_macs(find("krizhevsky-145+ungrouped")) == 1_135_256_096


@pytest.mark.parametrize(("net", "ablation"), [pair for pair in DEFINED_PAIRS if pair[1] == "no-lrn"])
def test_no_lrn_takes_every_norm_and_nothing_else(net, ablation):
    kept = [row for row in NETS[net].rows if not isinstance(row, Lrn | SameMapNorm)]
    assert list(find(f"{net}+no-lrn").rows) == kept


@pytest.mark.parametrize("net", ["krizhevsky-145", "paper-2012", "caffe", "caffenet"])
def test_no_overlap_gives_the_sizes_of_net_147(net):
    spec = find(f"{net}+no-overlap")
    rows = [row for row in measure(spec) if isinstance(row.row, Conv | Pool)]
    assert [row.output[1] for row in rows] == [55, 28, 26, 13, 13, 13, 11, 6]
    assert all(row.kernel_size == row.stride == 2 for row in spec.rows if isinstance(row, MaxPool))
    assert [conv.padding for conv in by_name(spec).values()] == [0, 1, 1, 1, 0]


def test_half_keeps_one_tower_but_conv5_and_the_dense_rows_whole():
    spec = find("krizhevsky-145+half")
    assert [conv.out_channels for conv in by_name(spec).values()] == [48, 128, 192, 192, 256]
    assert [row.out_features for row in spec.rows if isinstance(row, Fc)] == [4096, 4096, 1000]
    assert {row.groups for row in spec.rows if isinstance(row, Conv | Fc | Lrn)} == {1}


@pytest.mark.parametrize("net", ["krizhevsky-145", "caffe", "digits"])
def test_ungrouped_joins_convs_and_norm_windows(net):
    spec = find(f"{net}+ungrouped")
    assert {row.groups for row in spec.rows if isinstance(row, Conv | Lrn)} == {1}
    assert names(spec) == names(NETS[net])


@pytest.mark.parametrize("net", ["krizhevsky-145", "paper-2012", "caffe", "caffenet"])
def test_without_talk_the_towers_meet_at_fc8_alone(net):
    spec = find(f"{net}+no-talk")
    assert {row.groups for row in spec.rows if isinstance(row, Lrn)} == {2}
    groups = {row.name: row.groups for row in spec.rows if isinstance(row, Conv | Fc)}
    assert groups == {
        "conv1": 1,  # both towers see the image
        "conv2": 2,
        "conv3": 2,
        "conv4": 2,
        "conv5": 2,
        "fc6": 2,
        "fc7": 2,
        "fc8": 1,
    }
    assert [conv.out_channels for conv in by_name(spec).values()] == [96, 320, 384, 384, 256]
    assert [row.out_features for row in spec.rows if isinstance(row, Fc)] == [8192, 4096, 1000]


@pytest.mark.parametrize("net", NETS)
def test_tanh_replaces_every_relu_in_place(net):
    spec = find(f"{net}+tanh")
    assert names(spec) == names(NETS[net])
    for row, twin in zip(NETS[net].rows, spec.rows, strict=True):
        assert twin == (Tanh(row.name) if isinstance(row, Relu) else row)


@pytest.mark.parametrize("net", ["krizhevsky-145", "one-weird-trick", "digits"])
def test_no_dropout_takes_dropout_alone(net):
    assert list(find(f"{net}+no-dropout").rows) == [row for row in NETS[net].rows if not isinstance(row, Dropout)]


@pytest.mark.parametrize(
    ("removed", "groups"),
    [
        ("conv3", {"conv1": 1, "conv2": 2, "conv4": 1, "conv5": 2}),
        ("conv4", {"conv1": 1, "conv2": 2, "conv3": 1, "conv5": 2}),
        ("conv5", {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2}),
    ],
)
def test_with_one_conv_fewer_the_towers_still_meet_where_they_met(removed, groups):
    spec = find(f"krizhevsky-145+without-{removed}")
    assert {name: conv.groups for name, conv in by_name(spec).items()} == groups
    assert set(names(NETS["krizhevsky-145"])) - set(names(spec)) == {removed, removed.replace("conv", "relu")}


@pytest.mark.parametrize("name", ["krizhevsky-145+no-lrn+tanh", "caffe+half+no-dropout", "cifar-relu+tanh"])
def test_ablations_join(name):
    net, *parts = name.split("+")
    spec = NETS[net]
    for part in parts:
        spec = ABLATIONS[part](spec)
    assert find(name).rows == spec.rows
    assert find(name).name == name


# Two branches that meet: what an ablation takes out of a graph must leave the branches as they were.
GRAPH = Spec(
    name="graph",
    source="this file",
    input=(3, 8, 8),
    rows=(
        Conv("conv1", 4, 3, padding=1),
        Relu("relu1"),
        Lrn("norm1"),
        Conv("conv2", 4, 3, padding=1, inputs=("norm1",)),
        Lrn("norm2", groups=2, inputs=("conv2", "relu1")),
        Local("conv3", 4, 3, padding=1, inputs=("norm1",)),
        Relu("relu3", inputs=("conv3", "norm2")),
        Dropout("drop3"),
        Conv("conv4", 4, 3, padding=1, inputs=("norm2", "drop3")),
        Fc("fc5", 3, inputs=("conv4", "norm1")),
        Softmax("prob"),
    ),
)


@pytest.mark.parametrize(
    ("ablation", "changed"),
    [
        (
            "no-lrn",
            {
                "conv2": ("relu1",),
                "conv3": ("relu1",),
                "relu3": ("conv3", "conv2", "relu1"),
                "conv4": ("conv2", "relu1", "drop3"),
                "fc5": ("conv4", "relu1"),
            },
        ),
        ("no-dropout", {"conv4": ("norm2", "relu3")}),
        ("tanh", {}),
    ],
)
def test_readers_in_a_graph_are_joined_to_what_the_taken_row_read(ablation, changed):
    spec = ABLATIONS[ablation](GRAPH)
    expected = {row.name: changed.get(row.name, GRAPH.inputs_of(row)) for row in GRAPH.rows if row.name in spec}
    assert {row.name: spec.inputs_of(row) for row in spec.rows} == expected
    measure(spec)


@pytest.mark.parametrize(("net", "ablation"), DEFINED_PAIRS)
def test_initial_weights_stay_those_of_the_net(net, ablation):
    for row in find(f"{net}+{ablation}").rows:
        if isinstance(row, Weighted):
            original = NETS[net][row.name]
            assert (row.weight_std, row.bias_init) == (original.weight_std, original.bias_init)
