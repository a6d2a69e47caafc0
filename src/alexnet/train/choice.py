"""Which net is trained, and by which recipe: what the options say, or leave to the data, the net or the parent."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from alexnet.arch import NETS, find
from alexnet.arch.rows import Row, Weighted
from alexnet.arch.spec import Spec
from alexnet.defaults import NET_OF_DATA
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.files import SUFFIX, WrittenNet
from alexnet.interop.cuda_convnet.parameters import like_published
from alexnet.interop.definitions import format_of
from alexnet.recipes import Recipe, default_recipe, find_recipe, pruning, sharing_values
from alexnet.train.options import RunOptions
from alexnet.weights import Weights


class Choice(NamedTuple):
    """A net and its recipe, whose rates are `scale` times those it has by itself, for batches of another size."""

    spec: Spec
    recipe: Recipe
    scale: float = 1.0


def choose(options: RunOptions, parent: Weights | None, num_classes: int, *, is_new: bool) -> Choice:
    """The net, with `num_classes`, and how it is trained; `is_new`: its classifier is not the parent's.

    Raises:
        InputError: a net, recipe or file that does not exist or does not fit the others.
    """
    if parent and options.input_size not in (None, parent.spec.input[1]):
        raise InputError(
            f"weights {options.weights} are of images of {parent.spec.input[1]} pixels, and stay so; "
            "another --input-size is for a new net: name one as --net, without --weights"
        )
    written = _written(options, parent.spec.input[1] if parent else options.input_size)
    spec = _spec(options, written, parent, num_classes)
    return Choice(spec, *_for_options(_recipe(options, written, spec, is_new=is_new), options))


def is_file(name: str | None) -> bool:
    """Whether a net or recipe is meant that stands in a file of another program's."""
    return format_of(name) is not None


def _written(options: RunOptions, input_size: int | None) -> WrittenNet | None:
    parameters, written_as = Path(options.recipe or "") if is_file(options.recipe) else None, format_of(options.net)
    if written_as is None:
        if parameters:
            raise InputError(
                f"{parameters} names the layers of a definition file; give that too, as --net FILE{SUFFIX}"
            )
        return None
    net = written_as.read_net(Path(options.net or ""), parameters, input_size)
    if net.borrowed and not options.weights:
        layer, function = net.borrowed[0]
        raise InputError(
            f"{options.net}: layer {layer} begins as another net's ({function}); give that net as --weights"
        )
    if net.trees:
        raise InputError(
            f"{options.net}: layer {net.trees[0]} learns along a tree of classes that no data here has; "
            "write it as type=fc, which is what it computes at test"
        )
    return net


def _spec(options: RunOptions, written: WrittenNet | None, parent: Weights | None, num_classes: int) -> Spec:
    if parent is None:
        if written:
            return written.spec.with_classes(num_classes)
        return find(options.net or NET_OF_DATA[options.data], num_classes=num_classes, input_size=options.input_size)
    spec = parent.spec.with_classes(num_classes)
    if written:
        ours = written.spec.with_classes(num_classes)
        if _form(spec) != _form(ours):
            raise InputError(f"--weights {options.weights} is another net than {options.net}; leave --net out")
        return ours
    if options.net not in (None, parent.spec.name):
        raise InputError(f"--weights {options.weights} is a {parent.spec.name}, not a {options.net}; leave --net out")
    return spec


def _form(spec: Spec) -> tuple[Row, ...]:
    """The rows without their initial values, which do not matter to weights that there are already."""
    return tuple(
        replace(row, weight_std=None, bias_init=None) if isinstance(row, Weighted) else row for row in spec.rows
    )


def _recipe(options: RunOptions, written: WrittenNet | None, spec: Spec, *, is_new: bool) -> Recipe:
    """The recipe asked for, else the net's own, varied for fine-tuning where it begins with weights (and further where
    its classifier `is_new`).
    """
    variations = ""
    if options.weights and options.prune_to is None and not options.share_values:
        variations = "+fine-tune+new-classifier" if is_new else "+fine-tune"
    if written and written.recipe:
        recipe = written.recipe
    else:
        own = like_published(spec) if written and spec.name not in NETS else default_recipe(spec.name)
        recipe = find_recipe(options.recipe or own.name + variations)
    if options.prune_to is not None:
        return pruning(recipe, options.prune_to)
    return sharing_values(recipe) if options.share_values else recipe


def _for_options(recipe: Recipe, options: RunOptions) -> tuple[Recipe, float]:
    """The recipe with the run's epochs, batch size and rate put in, and how much its rates have grown by themselves.

    k times the images of a batch, k times the rates, where none is asked for: there are fewer steps to take. Source:
    Krizhevsky 2014, arXiv 1404.5997, sec. 5; the 2013 runs of the release, in which 256 images needed doubled rates.
    Smaller batches keep the rates, which they bear: there are more steps.
    """
    own, batch_size = recipe.rates.weights.base, options.batch_size or recipe.batch_size
    scale = max(1.0, batch_size / recipe.batch_size) if options.lr is None and own else 1.0
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs, batch_size=batch_size)
    if options.lr is not None:
        return recipe.with_lr(options.lr), scale
    return (recipe if scale == 1 else recipe.with_lr(own * scale)), scale
