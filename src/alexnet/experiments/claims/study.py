"""A claim put together with the data that it is tried on: refused, or the setting that fits."""

from dataclasses import replace

import numpy as np
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import InputError
from alexnet.experiments.claims.claim import Asked, Claim, Study
from alexnet.experiments.claims.settings import DataFacts, Setting
from alexnet.train.observer import Observer

LEAST_HELD_OUT = 2  # one image has no spread
_LOOKED_AT = 16  # training images that tell whether a data set is grey


def open_study(claim: Claim, asked: Asked, observer: Observer) -> Study:
    """The study of `claim` that is asked for.

    Raises:
        InputError: data that cannot show the claim, or weights too many or too few.
        DataError: no such data.
    """
    _check_weights(claim, asked)
    dataset = open_data(asked.data)
    if dataset.held_out is None or len(dataset.split(dataset.held_out)) < LEAST_HELD_OUT:
        raise InputError(f"{dataset.name} holds no images out, so no error can be measured; give data with val or test")
    setting = choose_setting(claim, describe(dataset))
    setting = replace(setting, epochs=asked.epochs or setting.epochs, seeds=asked.seeds or setting.seeds)
    return Study(claim=claim, asked=asked, dataset=dataset, setting=setting, observer=observer)


def choose_setting(claim: Claim, facts: DataFacts) -> Setting:
    """The first of the claim's settings that fits the data.

    Raises:
        InputError: none does.
    """
    for setting in claim.settings:
        if setting.fits(facts):
            return setting
    wanted = ", or ".join(f"{setting.fits} ({setting.name})" for setting in claim.settings)
    raise InputError(f"claim {claim.name} cannot be seen on {facts}; it needs {wanted}")


def describe(dataset: DataSet) -> DataFacts:
    """The facts of a data set, from a few of its training images.

    Raises:
        DataError: it has no training images.
        ImageError: the first ones are damaged.
    """
    split = dataset.split("train", "val", "test")
    images = [split.image(index) for index in range(min(_LOOKED_AT, len(split)))]
    coloured = any(_has_colour(image) for image in images)
    return DataFacts(name=dataset.name, num_classes=len(dataset.classes), side=min(images[0].size), coloured=coloured)


def _has_colour(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels != pixels[..., :1]).any())


def _check_weights(claim: Claim, asked: Asked) -> None:
    if claim.num_weights is None:
        if asked.weights:
            raise InputError(f"claim {claim.name} trains its own nets; leave --weights out")
        return
    least, most = claim.num_weights
    if not least <= len(asked.weights) <= most:
        wanted = f"{least} weights" if least == most else f"{least} to {most} weights"
        how = f"name them, as in --weights {DEFAULT_WEIGHTS}"
        raise InputError(f"claim {claim.name} looks at {wanted}, not {len(asked.weights)}; {how}")
    if asked.epochs or asked.seeds or asked.limit_train_batches:
        raise InputError(f"claim {claim.name} trains nothing; leave --epochs, --seeds and --limit-train-batches out")
