"""Net, recipe and data set put together: everything a run needs to know before its first step."""

import platform
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from alexnet import __version__
from alexnet.arch.serial import spec_to_json
from alexnet.arch.spec import Spec
from alexnet.data.damaged import DamagedImages, OnDamaged
from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import DataSet
from alexnet.defaults import DEFAULT_WEIGHTS, NET_OF_DATA
from alexnet.errors import DataError, InputError
from alexnet.nn import InputLayer, build
from alexnet.recipes import Plateau, Recipe
from alexnet.recipes.named import LARS
from alexnet.train.beginning import Beginning, begin_with
from alexnet.train.choice import Choice, choose, is_file
from alexnet.train.device import pick_device, pick_precision
from alexnet.train.folder import describe_data
from alexnet.train.layouts import Parallel, lay_out
from alexnet.train.loop import Trainer
from alexnet.train.observer import Observer
from alexnet.train.on_device import Batches, DeviceLoader
from alexnet.train.options import RunOptions
from alexnet.train.parent import known_classes, take_over
from alexnet.train.ranks import DamagedAnywhere, Ranks
from alexnet.train.schedule import crops_by_epoch
from alexnet.weights import find_weights

FEW_IMAGES = 5  # of a class. Ours: with fewer, what is held out of them says nothing either


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run before it begins. `ranks`: the processes that share it. `damaged`: the training images that could not be
    read so far, as the first process counts them; `damaged_anywhere` hands them to it. has_data_of_its_own: the data
    set was given open, so that no name opens it again.
    """

    options: RunOptions
    ranks: Ranks
    beginning: Beginning
    dataset: DataSet
    damaged: DamagedImages
    damaged_anywhere: DamagedAnywhere
    loader: Batches
    trainer: Trainer
    steps_per_epoch: int
    has_data_of_its_own: bool = False

    @property
    def spec(self) -> Spec:
        """The net."""
        return self.beginning.spec

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return self.beginning.recipe

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def measured_split(self) -> str | None:
        """Where errors are measured during training: val, else test (which then chooses nothing), else nowhere."""
        return self.dataset.held_out

    @property
    def few_images(self) -> dict[str, int]:
        """The classes of which the net will see next to nothing, with how many training images they have."""
        counts = np.bincount(self.dataset.split("train").labels, minlength=len(self.dataset.classes)).tolist()
        named = zip(self.dataset.classes, counts, strict=True)
        return {info.name: count for info, count in named if count < FEW_IMAGES}

    def describe(self) -> dict[str, Any]:
        """What the options came to, and on what the run began, as plain JSON."""
        return {
            "data": describe_data(self.dataset),
            "machine": self.describe_machine(),
        }

    def describe_machine(self) -> dict[str, Any]:
        """On what the run computes, and with which versions."""
        return {
            "alexnet": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": str(self.trainer.device),
            "dtype": str(self.trainer.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "processes": self.ranks.count,
        }


def make_plan(
    options: RunOptions,
    dataset: DataSet,
    observer: Observer,
    *,
    device: str,
    workers: int,
    beginning: Beginning | None = None,
    parallel: Parallel = "data",
    images_per_pass: int | None = None,
    ranks: Ranks | None = None,
) -> Plan:
    """Everything chosen and built that `options` name or leave open; the plan's options leave nothing open.

    `beginning`: what the run began with, when it is resumed; else it comes from the options and the data. `parallel`,
    `ranks`: how the net is laid out, and over which processes, see `layouts`; all of them must call this.

    Raises:
        InputError: a net, recipe, weights, device or split that does not exist or does not fit the others.
    """
    if options.until_error is not None and not 0 <= options.until_error <= 1:
        raise InputError(f"until_error is {options.until_error}; it must be a fraction from 0 to 1")
    ranks = ranks or Ranks()
    where = pick_device(device, ranks.local if ranks.count > 1 else None)
    dtype = pick_precision(options.precision or "auto", where)
    seed = options.seed or 0
    options = options if beginning else _with_parent(options)
    parent = find_weights(options.weights) if options.weights and not beginning else None
    taken_over = known_classes(dataset, parent) if parent else None
    spec, recipe, scale = (
        Choice(beginning.spec, beginning.recipe)
        if beginning
        else choose(options, parent, len(dataset.classes), is_new=taken_over is None)
    )
    if scale != 1:
        observer.say(
            f"batches of {recipe.batch_size:,} are {scale:g} times the recipe's: so are the rates, "
            f"{recipe.rates.weights.base:g} to begin with; --lr sets another"
        )
    if recipe.update == "lars" and options.lr is None and recipe.batch_size < LARS.batch_size:
        rate = recipe.rates.weights.base
        observer.say(f"the first rate, {rate:g}, is for batches of {LARS.batch_size:,}; --lr sets one for smaller ones")
    _check_splits(dataset, recipe)
    if recipe.batch_size > (count := len(dataset.split("train"))):
        observer.say(
            f"a batch of {recipe.batch_size:,} is more than the {count:,} images to train on: a step takes them all, "
            "at the rates of a whole batch; --batch-size makes it smaller"
        )
    # Made on the CPU from the seed alone, and before the data is touched: a net that cannot be built says so at once.
    net = build(spec, seed=seed % 2**64)
    if parent:
        observer.say(f"begun from {options.weights}, {take_over(net, parent, taken_over)}")
    ranks.check_same(
        {
            "net": _named(spec.name, spec_to_json(spec)),
            "recipe": _named(recipe.name, recipe.to_json()),
            "set of images": describe_data(dataset),
            "seed": seed,
            "precision": str(dtype),
            "--limit-train-batches": options.limit_train_batches,
            "error to stop at": options.until_error,
            "--parallel": parallel,
        }
    )
    layout = lay_out(parallel, net, crops_by_epoch(recipe, spec.input[1]), ranks, where)
    damaged = DamagedImages(len(dataset.split("train")), observer.say)
    damaged_anywhere = DamagedAnywhere(ranks, damaged)
    beginning = beginning or ranks.first(
        lambda: begin_with(spec, recipe, dataset, parent, observer, workers, damaged), patiently=True
    )
    part = (ranks.rank, ranks.count) if layout.divides_images else (0, 1)
    loader = _loader(recipe, beginning, dataset, seed, workers, damaged_anywhere, part)
    limit = options.limit_train_batches or loader.steps_per_epoch
    steps_per_epoch = min(limit, loader.steps_per_epoch)
    trainer = Trainer(
        layout,
        recipe,
        InputLayer(beginning.preprocessing),
        device=where,
        dtype=dtype,
        seed=seed,
        total_steps=recipe.epochs * steps_per_epoch,
        images_per_pass=images_per_pass,
        say=observer.say,
    )
    return Plan(
        options=_resolved(options, spec, recipe, seed, dtype),
        ranks=ranks,
        beginning=beginning,
        dataset=dataset,
        damaged=damaged,
        damaged_anywhere=damaged_anywhere,
        loader=DeviceLoader(loader, where, observer.say) if where.type == "cuda" else loader,
        trainer=trainer,
        steps_per_epoch=steps_per_epoch,
    )


def _named(name: str, content: object) -> str:
    """A name, and a sum of what stands behind it."""
    return f"{name} ({sha256(repr(content).encode()).hexdigest()[:8]})"


def _with_parent(options: RunOptions) -> RunOptions:
    """Where neither a net nor weights are named, training begins with the weights that come with the package."""
    if options.net or options.weights or options.data in NET_OF_DATA:
        return options
    return replace(options, weights=DEFAULT_WEIGHTS)


def _resolved(options: RunOptions, spec: Spec, recipe: Recipe, seed: int, dtype: torch.dtype) -> RunOptions:
    """`options` with what they came to, so that a resumed run makes the same choices on any machine."""
    return replace(
        options,
        class_order=options.class_order or "sorted",
        net=options.net if is_file(options.net) else spec.name,
        input_size=spec.input[1],
        recipe=options.recipe if is_file(options.recipe) else recipe.name,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.rates.weights.base,
        seed=seed,
        precision="bf16" if dtype == torch.bfloat16 else "fp32",
    )


def _check_splits(dataset: DataSet, recipe: Recipe) -> None:
    """Refuse data without the images that training, or this recipe, cannot do without."""
    has = ", ".join(dataset.splits)
    if "train" not in dataset.splits:
        raise DataError(
            f"{dataset.name} has no train images, it has {has}; give a folder with train images too, "
            "or rename a shard to train-* to train on it"
        )
    if isinstance(recipe.rates.weights, Plateau) and "val" not in dataset.splits:
        raise DataError(
            f"recipe {recipe.name} lowers its rate by the validation error, but {dataset.name} has no val images, "
            f"it has {has}; choose another --recipe"
        )


def _loader(
    recipe: Recipe,
    beginning: Beginning,
    dataset: DataSet,
    seed: int,
    workers: int,
    damaged: OnDamaged,
    part: tuple[int, int],
) -> TrainLoader:
    preprocessing, statistics = beginning.preprocessing, beginning.statistics
    options = LoaderOptions(
        batch_size=recipe.batch_size,
        resize=preprocessing.resize,
        interpolation=preprocessing.interpolation,
        crop=preprocessing.crop,
        crops=recipe.crops,
        chunk_size=recipe.chunk_size,
        flip=recipe.flip,
        seed=seed,
        workers=workers,
        crop_by_epoch=crops_by_epoch(recipe, preprocessing.crop),
        part=part,
    )
    pca = (statistics.pca_stdevs, statistics.pca_eigenvectors) if statistics and recipe.color_noise.base else None
    return TrainLoader(dataset.split("train"), options, pca, damaged)
