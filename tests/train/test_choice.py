"""Nets and recipes that stand in files of the 2012 release; named ones are tested with the plan."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.arch.rows import Conv, Weighted
from alexnet.data.splits import unnamed_classes
from alexnet.errors import InputError
from alexnet.nn import build
from alexnet.recipes import Momenta
from alexnet.train.choice import choose
from alexnet.train.options import RunOptions
from alexnet.weights import Weights
from alexnet.weights.check import tensor_shapes

NETS = Path(__file__).parents[1] / "interop/cuda_convnet/nets"
NET, PARAMETERS = str(NETS / "layers-cifar-towers.cfg"), str(NETS / "layer-params-cifar-towers.cfg")


def choice(**options: object):
    return choose(RunOptions(data="cifar10", **options), None, 10, is_new=True)


def test_both_files_give_one_net_and_what_they_say_of_its_rows():
    """conv3 is in two towers, which become two groups; fc10 reads both."""
    spec, recipe, _ = choice(net=NET, recipe=PARAMETERS)
    assert [row.name for row in spec.rows if isinstance(row, Weighted)] == ["conv1", "conv2", "conv3", "fc10"]
    assert isinstance(conv3 := spec["conv3"], Conv)
    assert (conv3.out_channels, conv3.groups) == (64, 2)
    assert (recipe.row_decay["conv2"], recipe.row_decay["fc10"]) == (0.004, 1.0)
    assert recipe.row_momenta["conv1"] == Momenta(0.9, 0.9)
    assert recipe.row_rates["conv1"].biases.base == 0.002
    assert recipe.name == "layer-params-cifar-towers"


def test_a_definition_alone_is_trained_by_a_named_recipe():
    spec, recipe, _ = choice(net=NET, recipe="cifar-relu")
    assert (spec.num_classes, recipe.name) == (10, "cifar-relu")


def test_a_net_may_have_other_classes_than_its_file():
    spec, _, _ = choose(RunOptions(data="photos", net=NET), None, 37, is_new=True)
    assert spec.num_classes == 37


def test_parameters_without_their_definition_are_refused():
    with pytest.raises(InputError, match="names the layers of a definition file; give that too"):
        choice(net="cifar-relu", recipe=PARAMETERS)


def test_a_layer_may_be_called_as_modules_call_their_state(tmp_path):
    (tmp_path / "net.cfg").write_text(Path(NET).read_text().replace("pool1a", "training"))
    net = build(choice(net=str(tmp_path / "net.cfg")).spec, seed=0)
    assert not net.eval().training


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
    text = Path(NET).read_text().replace(plain, tree)
    for layer in ("pool2a", "pool2b", "conv3a", "conv3b", "pool3a", "pool3b", "conv2b"):
        text = re.sub(rf"\[{layer}\]\n(?:.+\n)+", "", text)
    (tmp_path / "net.cfg").write_text(text)
    with pytest.raises(InputError, match="fc10 learns along a tree of classes"):
        choice(net=str(tmp_path / "net.cfg"))


def test_weights_of_the_same_rows_are_trained_by_the_next_file(tiny_weights, tmp_path):
    """As the scripts of 2012 did line by line. Names and initial values of the net do not matter to its weights."""
    spec, _, _ = choice(net=NET, recipe=PARAMETERS)
    tensors = {key: np.zeros(shape, np.float32) for key, shape in tensor_shapes(spec).items()}
    preprocessing = replace(tiny_weights.preprocessing, resize=32, crop=32, mean_image=None)
    parent = Weights(spec=spec, classes=unnamed_classes(10), preprocessing=preprocessing, tensors=tensors)
    other = Path(NET).read_text().replace("initW=0.0001", "initW=0.0002\ninitWFunc=initw.makew(net)")
    (tmp_path / "next.cfg").write_text(other)
    options = RunOptions(data="cifar10", net=str(tmp_path / "next.cfg"), recipe=PARAMETERS, weights="parent")
    found, recipe, _ = choose(options, parent, 10, is_new=False)
    assert (found.name, recipe.name) == ("next", "layer-params-cifar-towers")
    with pytest.raises(InputError, match="--weights parent is another net than"):
        choose(options, tiny_weights, 10, is_new=False)


@pytest.mark.parametrize(("net", "input_size"), [(NET, 16), ("cifar-18pct", 16), (NET, None)])
def test_a_new_net_is_for_images_of_the_size_asked_for(net, input_size):
    assert choice(net=net, input_size=input_size).spec.input == (3, input_size or 32, input_size or 32)


@pytest.mark.parametrize(
    ("net", "input_size", "recipe"),
    [(NETS / "layers-145.cfg", 128, "krizhevsky-145"), (NET, 24, "cifar-11pct"), (NET, 48, "cifar-18pct")],
)
def test_the_recipe_is_that_of_the_published_net_most_like_it(net, input_size, recipe):
    """A stride in the first convolution is for large images, however large they are now; 24 pixels are crops."""
    assert choice(net=str(net), input_size=input_size).recipe.name == recipe


def test_weights_say_how_large_images_are(tiny_weights, tmp_path):
    """To the definition too, which then is of the same rows."""
    spec = choice(net=NET, input_size=16).spec
    tensors = {key: np.zeros(shape, np.float32) for key, shape in tensor_shapes(spec).items()}
    preprocessing = replace(tiny_weights.preprocessing, resize=16, crop=16, mean_image=None)
    parent = Weights(spec=spec, classes=unnamed_classes(10), preprocessing=preprocessing, tensors=tensors)
    options = RunOptions(data="cifar10", net=NET, weights="parent")
    for size in (None, 16):
        assert choose(replace(options, input_size=size), parent, 10, is_new=False).spec.input == (3, 16, 16)
    with pytest.raises(InputError, match="weights parent are of images of 16 pixels, and stay so"):
        choose(replace(options, input_size=32), parent, 10, is_new=False)


IN_PARTS = "outputs={0}\ninputs=pool3a,pool3b\ninitW=0.01,0.01\n"


def in_parts(folder, few, rest):
    """The net with its classes in two layers, which are stacked."""
    few, rest = (f"[{name}]\ntype=fc\n{IN_PARTS.format(count)}" for name, count in (("few", few), ("rest", rest)))
    whole = f"[fc10]\ntype=fc\n{IN_PARTS.format(10)}"
    (text := Path(NET).read_text()).index(whole)
    path = folder / "parts.cfg"
    path.write_text(text.replace(whole, f"{few}\n{rest}\n[fc10]\ntype=concat\ninputs=few,rest\n"))
    return str(path)


def test_classes_in_several_layers_must_be_as_many_as_the_datas(tmp_path):
    assert choice(net=in_parts(tmp_path, 4, 6)).spec.num_classes == 10
    with pytest.raises(InputError, match=r"several rows \(few has 4, rest has 5\); for 10 write other outputs of"):
        choice(net=in_parts(tmp_path, 4, 5))


def test_a_small_net_without_parameters_is_trained_as_small_nets_were():
    assert choice(net=NET).recipe.name == "cifar-18pct"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"(?<=epsW=|epsB=)[0-9.,]+", "0", "all rates are 0"),
        (r"\[logprob\]\ncoeff=1", "", r"has no section \[logprob\], with its coeff"),
        (r"coeff=1", "", "needs coeff"),
        (r"\[conv1a\]", "[conv9]", "has no section"),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(old, new, words, tmp_path):
    def shorter(found):
        return ",".join(["0"] * len(found[0].split(","))) if new == "0" else new

    (tmp_path / "params.cfg").write_text(re.sub(old, shorter, Path(PARAMETERS).read_text()))
    with pytest.raises(InputError, match=words):
        choice(net=NET, recipe=str(tmp_path / "params.cfg"))


@pytest.mark.parametrize(("batch_size", "scale"), [(128, 1), (1024, 8), (32, 1)])
def test_rates_grow_with_the_batch_and_with_it_alone(batch_size, scale):
    own, found = choice(net="krizhevsky-145").recipe, choice(net="krizhevsky-145", batch_size=batch_size)
    assert found.scale == scale
    assert found.recipe.rates.weights.base == own.rates.weights.base * scale
    assert found.recipe.row_rates["conv1"].biases.base == own.row_rates["conv1"].biases.base * scale
    assert found.recipe.rates.weights.drops[0][1] == own.rates.weights.drops[0][1] * scale


def test_a_rate_that_is_asked_for_is_the_rate_whatever_the_batch():
    found = choice(net="krizhevsky-145", batch_size=1024, lr=0.03)
    assert found.scale == 1
    assert found.recipe.rates.weights.base == 0.03
