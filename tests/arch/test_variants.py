from dataclasses import replace

import pytest

from alexnet.arch import NETS, find
from alexnet.arch.rows import Dropout, Lrn, MaxPool, SameMapNorm, Weighted
from alexnet.arch.shapes import measure, total_macs, total_neurons, total_params
from alexnet.arch.variants import IMAGENET_NETS
from alexnet.defaults import DEFAULT_NET
from alexnet.errors import SpecError, UnknownNameError

FIVE_CONVS = ("conv1", "conv2", "conv3", "conv4", "conv5")
EIGHT_ROWS = (*FIVE_CONVS, "fc6", "fc7", "fc8")


@pytest.mark.parametrize(
    ("net", "params", "macs", "neurons"),
    [
        ("krizhevsky-145", 60_965_224, 724_406_816, 659_272),
        ("paper-2012", 60_965_224, 724_406_816, 659_272),
        ("caffe", 60_965_224, 724_406_816, 659_272),
        ("caffenet", 60_965_224, 724_406_816, 659_272),
        ("one-weird-trick", 61_100_840, 714_188_480, None),
    ],
)
def test_parameters_multiply_adds_and_neurons_are_the_written_numbers(net, params, macs, neurons):
    spec = find(net)
    assert total_params(spec) == params
    assert total_macs(spec) == macs
    assert neurons is None or total_neurons(spec) == neurons


def test_conv_rows_do_the_work_and_fc_rows_hold_the_weights():
    """Facts, section 1.1: 91.9 % of the multiply-adds, 96.2 % of the parameters."""
    rows = {row.row.name: row for row in measure(find("krizhevsky-145"))}
    assert sum(rows[name].macs for name in FIVE_CONVS) == 665_784_864
    assert sum(rows[name].params for name in FIVE_CONVS) == 2_334_080
    assert sum(rows[name].macs for name in ("fc6", "fc7", "fc8")) == 58_621_952
    assert sum(rows[name].params for name in ("fc6", "fc7", "fc8")) == 58_631_144


ORDER = {
    "krizhevsky-145": "conv1 norm1 pool1 relu1 conv2 relu2 norm2 rnorm2 pool2 conv3 relu3 conv4 relu4 conv5 pool5 "
    "relu5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "paper-2012": "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
    "fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "caffe": "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
    "fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "caffenet": "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
    "fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "one-weird-trick": "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 avgpool "
    "drop5 fc6 relu6 drop6 fc7 relu7 fc8 prob",
}


@pytest.mark.parametrize("spec", IMAGENET_NETS, ids=lambda spec: spec.name)
def test_rows_stand_in_the_order_of_their_source(spec):
    assert [row.name for row in spec.rows] == ORDER[spec.name].split()
    assert all(row.inputs == () for row in spec.rows)


# Facts, sections 2.1, 8.1 and 9; None: PyTorch's own initial values.
STDS = {
    "krizhevsky-145": (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
    "paper-2012": (0.01,) * 8,
    "caffe": (0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01),
    "caffenet": (0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01),
    "one-weird-trick": (None,) * 8,
}
BIASES = {
    "krizhevsky-145": (0, 1, 0, 1, 1, 1, 1, 0),
    "paper-2012": (0, 1, 0, 1, 1, 1, 1, 0),
    "caffe": (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
    "caffenet": (0, 1, 0, 1, 1, 1, 1, 0),
    "one-weird-trick": (None,) * 8,
}


@pytest.mark.parametrize("spec", IMAGENET_NETS, ids=lambda spec: spec.name)
def test_initial_weights_and_biases_are_those_of_the_source(spec):
    rows = [row for row in spec.rows if isinstance(row, Weighted)]
    assert tuple(row.name for row in rows) == EIGHT_ROWS
    assert tuple(row.weight_std for row in rows) == STDS[spec.name]
    assert tuple(row.bias_init for row in rows) == BIASES[spec.name]


@pytest.mark.parametrize(
    ("net", "k", "groups", "alpha_over_size"),
    [
        ("krizhevsky-145", 2, 2, True),
        ("paper-2012", 2, 2, False),
        ("caffe", 1, 1, True),
        ("caffenet", 1, 1, True),
    ],
)
def test_cross_map_normalization_is_that_of_the_source(net, k, groups, alpha_over_size):
    norms = [row for row in find(net).rows if isinstance(row, Lrn)]
    assert [row.name for row in norms] == ["norm1", "norm2"]
    for row in norms:
        assert (row.size, row.alpha, row.beta) == (5, 1e-4, 0.75)
        assert (row.k, row.groups, row.alpha_over_size) == (k, groups, alpha_over_size)


def test_only_net_145_has_the_extra_same_map_norm():
    found = {spec.name: [row for row in spec.rows if isinstance(row, SameMapNorm)] for spec in IMAGENET_NETS}
    assert found.pop("krizhevsky-145") == [SameMapNorm("rnorm2", size=5, alpha=1e-3, beta=0.75)]
    assert not any(found.values())


@pytest.mark.parametrize("spec", IMAGENET_NETS, ids=lambda spec: spec.name)
def test_dropout_is_scaled_where_its_source_scales_it(spec):
    scaled = {row.scale_at for row in spec.rows if isinstance(row, Dropout)}
    assert scaled == {"test" if spec.name in ("krizhevsky-145", "paper-2012") else "train"}
    assert [row.rate for row in spec.rows if isinstance(row, Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("spec", IMAGENET_NETS, ids=lambda spec: spec.name)
def test_pooling_overlaps(spec):
    pools = [row for row in spec.rows if isinstance(row, MaxPool)]
    assert [(row.name, row.kernel_size, row.stride) for row in pools] == [
        ("pool1", 3, 2),
        ("pool2", 3, 2),
        ("pool5", 3, 2),
    ]


def test_caffenet_is_caffe_but_for_order_and_biases():
    caffe, caffenet = find("caffe"), find("caffenet")
    assert {row.name for row in caffe.rows} == {row.name for row in caffenet.rows}
    for row in caffe.rows:
        twin = caffenet[row.name]
        if isinstance(row, Weighted):
            row, twin = replace(row, bias_init=None), replace(twin, bias_init=None)
        assert row == twin


@pytest.mark.parametrize(("net", "size"), [("krizhevsky-145", 224), ("paper-2012", 224), ("caffe", 227)])
def test_a_224_image_rounds_up_to_what_a_227_crop_gives(net, size):
    assert find(net).input == (3, size, size)
    assert measure(find(net))[0].output == (96, 55, 55)


def test_every_net_is_found_under_its_own_name_and_says_its_source():
    assert list(NETS) == [
        "krizhevsky-145",
        "paper-2012",
        "caffe",
        "caffenet",
        "one-weird-trick",
        "cifar-80sec",
        "cifar-18pct",
        "cifar-13pct",
        "cifar-11pct",
        "cifar-relu",
        "cifar-towers",
        "digits",
    ]
    assert all(find(name) is spec and spec.name == name and spec.source for name, spec in NETS.items())
    assert DEFAULT_NET == "krizhevsky-145"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("krizhevsky-144", "unknown net 'krizhevsky-144'; did you mean krizhevsky-145"),
        ("alexnet", r"unknown net 'alexnet'; .*\(the net of 2012 is krizhevsky-145, torchvision's is one-weird-trick"),
        ("caffe+no-lnr", "unknown ablation 'no-lnr'; did you mean no-lrn"),
        ("caffe+", "unknown ablation ''; known: no-lrn"),
    ],
)
def test_unknown_names_offer_the_nearest(name, message):
    with pytest.raises(UnknownNameError, match=message):
        find(name)


@pytest.mark.parametrize("net", NETS)
def test_every_net_takes_a_number_of_classes(net):
    spec = find(net, num_classes=3)
    assert measure(spec)[-1].output == (3, 1, 1)
    assert spec.name == net


@pytest.mark.parametrize(
    ("net", "smallest", "row"),
    [("one-weird-trick", 63, "pool5"), ("caffe", 39, "pool5"), ("krizhevsky-145", 36, "pool5"), ("digits", 4, "pool2")],
)
def test_images_that_are_too_small_are_refused_with_the_row(net, smallest, row):
    assert find(net, input_size=smallest).input == (3, smallest, smallest)
    with pytest.raises(SpecError, match=f"row {row} leaves nothing"):
        find(net, input_size=smallest - 1)


def test_only_adaptive_pooling_keeps_the_weights_at_another_image_size():
    for size in (63, 128, 300):
        assert total_params(find("one-weird-trick", input_size=size)) == 61_100_840
    assert total_params(find("krizhevsky-145", input_size=227)) == 60_965_224
    assert measure(find("krizhevsky-145", input_size=128))[16].weight == (4096, 256 * 3 * 3)
