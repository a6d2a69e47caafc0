import pytest

from alexnet.arch import find
from alexnet.arch.cifar import SMALL_NETS
from alexnet.arch.rows import AvgPool, Conv, Dropout, Lrn, MaxPool, Pool, SameMapNorm, Weighted
from alexnet.arch.shapes import measure, total_params

# Facts, section 2.5; digits is ours: 2,432 + 9,280 + 36,928 + 131,200 + 1,290.
PARAMS = {
    "cifar-80sec": 145_578,
    "cifar-18pct": 89_578,
    "cifar-13pct": 1_901_386,
    "cifar-relu": 89_578,
    "cifar-towers": 4_864 + 51_264 + 102_464 + 10_250,
    "digits": 181_130,
}


@pytest.mark.parametrize(("net", "params"), PARAMS.items())
def test_parameters_are_the_written_numbers(net, params):
    assert total_params(find(net)) == params


def test_the_net_with_norms_differs_from_its_sibling_by_more_than_norms():
    """On the same images, local3 has 64 filters in place of 32: not a clean ablation of LRN."""
    wide, narrow = find("cifar-11pct", input_size=32), find("cifar-13pct")
    positions = 8 * 8
    local3 = positions * 32 * (64 * 9 + 1)
    local4 = positions * 32 * (32 * 9)
    assert total_params(wide) - total_params(narrow) == local3 + local4
    assert total_params(find("cifar-11pct")) == 4_864 + 102_464 + 36 * 64 * 577 + 36 * 32 * 577 + 11_530


@pytest.mark.parametrize(
    ("net", "sizes"),
    [
        ("cifar-80sec", [16, 8, 4]),
        ("cifar-18pct", [16, 8, 4]),
        ("cifar-13pct", [16, 8]),
        ("cifar-11pct", [12, 6]),
        ("cifar-relu", [16, 8, 4]),
        ("cifar-towers", [16, 8, 4]),
        ("digits", [8, 4]),
    ],
)
def test_pooled_sizes_round_up(net, sizes):
    assert [row.output[1] for row in measure(find(net)) if isinstance(row.row, Pool)] == sizes


ORDER = {
    "cifar-80sec": "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 pool3 fc64 relu4 fc10 prob",
    "cifar-18pct": "conv1 pool1 relu1 rnorm1 conv2 relu2 pool2 rnorm2 conv3 relu3 pool3 fc10 prob",
    "cifar-13pct": "conv1 relu1 pool1 conv2 relu2 pool2 local3 relu3 local4 relu4 fc10 prob",
    "cifar-11pct": "conv1 relu1 pool1 norm1 conv2 relu2 norm2 pool2 local3 relu3 local4 relu4 fc10 prob",
    "cifar-relu": "conv1 pool1 relu1 conv2 relu2 pool2 conv3 relu3 pool3 fc10 prob",
}
STDS = {
    "cifar-80sec": [1e-4, 0.01, 0.01, 0.1, 0.1],
    "cifar-18pct": [1e-4, 0.01, 0.01, 0.01],
    "cifar-13pct": [1e-4, 0.01, 0.04, 0.04, 0.01],
    "cifar-11pct": [1e-4, 0.01, 0.04, 0.04, 0.01],
    "cifar-relu": [1e-4, 0.01, 0.01, 0.01],
}


@pytest.mark.parametrize("net", ORDER)
def test_rows_and_initial_weights_are_those_of_the_source(net):
    spec = find(net)
    assert [row.name for row in spec.rows] == ORDER[net].split()
    weighted = [row for row in spec.rows if isinstance(row, Weighted)]
    assert [row.weight_std for row in weighted] == STDS[net]
    assert {row.bias_init for row in weighted} == {0.0}


def test_norms_are_those_of_the_source():
    norms = {spec.name: [r for r in spec.rows if isinstance(r, Lrn | SameMapNorm)] for spec in SMALL_NETS}
    assert norms["cifar-18pct"] == [SameMapNorm(f"rnorm{i}", size=3, alpha=5e-5, beta=0.75) for i in (1, 2)]
    assert norms["cifar-11pct"] == [Lrn(f"norm{i}", size=9, alpha=1e-3, beta=0.75, k=1.0) for i in (1, 2)]
    assert norms["cifar-80sec"] == norms["cifar-13pct"] == norms["cifar-relu"] == []


def test_small_images_are_averaged_above_the_first_pool_where_the_source_does():
    kinds = {spec.name: [type(row) for row in spec.rows if isinstance(row, Pool)] for spec in SMALL_NETS}
    assert kinds["cifar-80sec"] == kinds["cifar-18pct"] == kinds["cifar-relu"] == [MaxPool, AvgPool, AvgPool]
    assert kinds["cifar-13pct"] == kinds["cifar-11pct"] == [MaxPool, MaxPool]


def test_two_small_towers_meet_at_conv3():
    convs = [row for row in find("cifar-towers").rows if isinstance(row, Conv)]
    assert [(row.out_channels, row.groups) for row in convs] == [(64, 1), (64, 2), (64, 1)]
    others = [[row for row in find(net).rows if not isinstance(row, Conv)] for net in ("cifar-towers", "cifar-18pct")]
    assert others[0] == others[1]


def test_digits_has_every_idea_of_the_paper():
    rows = find("digits").rows
    assert {"conv", "relu", "lrn", "max_pool", "fc", "dropout", "softmax"} == {row.kind for row in rows}
    assert all(row.kernel_size > row.stride for row in rows if isinstance(row, MaxPool))
    assert [row.groups for row in rows if isinstance(row, Lrn)] == [1, 2]
    assert [row.scale_at for row in rows if isinstance(row, Dropout)] == ["test"]
