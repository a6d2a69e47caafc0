"""Nets and recipes that stand in files of the 2012 release; named ones are tested with the plan."""

from pathlib import Path

import pytest

from alexnet.arch.rows import Conv, Weighted
from alexnet.errors import InputError
from alexnet.recipes import Momenta
from alexnet.train.choice import choose
from alexnet.train.options import RunOptions

NETS = Path(__file__).parents[1] / "interop/cuda_convnet/nets"
NET, PARAMETERS = str(NETS / "layers-cifar-towers.cfg"), str(NETS / "layer-params-cifar-towers.cfg")


def choice(**options: object):
    return choose(RunOptions(data="cifar10", **options), None, 10, is_new=True)


def test_both_files_give_one_net_and_what_they_say_of_its_rows():
    """conv3 is in two towers, which become two groups; fc10 reads both."""
    spec, recipe = choice(net=NET, recipe=PARAMETERS)
    assert [row.name for row in spec.rows if isinstance(row, Weighted)] == ["conv1", "conv2", "conv3", "fc10"]
    assert isinstance(conv3 := spec["conv3"], Conv)
    assert (conv3.out_channels, conv3.groups) == (64, 2)
    assert (recipe.row_decay["conv2"], recipe.row_decay["fc10"]) == (0.004, 1.0)
    assert recipe.row_momenta["conv1"] == Momenta(0.9, 0.9)
    assert recipe.row_rates["conv1"].biases.base == 0.002
    assert recipe.name == "layer-params-cifar-towers"


def test_a_definition_alone_is_trained_by_a_named_recipe():
    spec, recipe = choice(net=NET, recipe="cifar-relu")
    assert (spec.num_classes, recipe.name) == (10, "cifar-relu")


def test_a_net_may_have_other_classes_than_its_file():
    spec, _ = choose(RunOptions(data="photos", net=NET), None, 37, is_new=True)
    assert spec.num_classes == 37


def test_parameters_without_their_definition_are_refused():
    with pytest.raises(InputError, match="names the layers of a definition file; give that too"):
        choice(net="cifar-relu", recipe=PARAMETERS)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("initW=0.0001\n", "initW=0.0001\ninitWFunc=initw.makew(net)\n", "begins as another net's .*give that net as"),
        ("type=fc\n", "type=treefc\n", "line .*treefc reads one input"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(old, new, words, tmp_path):
    (tmp_path / "net.cfg").write_text(Path(NET).read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        choice(net=str(tmp_path / "net.cfg"))


def test_a_tree_of_classes_is_built_but_not_trained(tmp_path):
    plain = "type=fc\noutputs=10\ninputs=pool3a,pool3b\ninitW=0.01,0.01"
    tree = "type=treefc\ninputs=conv2a\ninitW=0.01"
    (tmp_path / "net.cfg").write_text(Path(NET).read_text().replace(plain, tree))
    with pytest.raises(InputError, match="fc10 learns along a tree of classes"):
        choice(net=str(tmp_path / "net.cfg"))
