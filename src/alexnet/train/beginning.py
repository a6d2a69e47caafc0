"""What a run begins with: its net, what is done to images before the first row, how the training images look."""

from dataclasses import dataclass, replace

import numpy as np

from alexnet.arch.spec import Spec
from alexnet.data.damaged import DamagedImages
from alexnet.data.splits import DataSet
from alexnet.data.statistics import Statistics, cached_statistics
from alexnet.preprocess import INTERPOLATION, Preprocessing, Resize
from alexnet.recipes import Recipe
from alexnet.train.observer import Observer
from alexnet.weights import Weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """What a run began with besides its options. `statistics`: of the training images, if the recipe asks for any."""

    spec: Spec
    recipe: Recipe
    preprocessing: Preprocessing
    statistics: Statistics | None


def begin_with(
    spec: Spec,
    recipe: Recipe,
    dataset: DataSet,
    parent: Weights | None,
    observer: Observer,
    workers: int,
    damaged: DamagedImages,
) -> Beginning:
    """What the recipe asks for; images are prepared as for `parent`, where there is one, but for two things.

    They are not reduced as for it: the net learns from these pictures as they are, and then knows such. And of a mean
    image its centre is subtracted from every crop, as in 2012, also where from the parent's crops it was what lay under
    them: the net learns to see them so, and says so.

    Raises:
        DataError: no training image can be read, or too few.
    """
    statistics = _statistics(recipe, spec, dataset, parent, observer, workers, damaged)
    ours = _preprocessing(recipe, spec, statistics)
    preprocessing = replace(parent.preprocessing, reduce_to=None, mean_crop="center") if parent else ours
    return Beginning(spec=spec, recipe=recipe, preprocessing=preprocessing, statistics=statistics)


def _statistics(
    recipe: Recipe,
    spec: Spec,
    dataset: DataSet,
    parent: Weights | None,
    observer: Observer,
    workers: int,
    damaged: DamagedImages,
) -> Statistics | None:
    """Of the training split, where the recipe asks for any: a parent's mean is kept, colour noise needs this data's."""
    needs_mean = parent is None and not isinstance(recipe.mean, tuple)
    if not needs_mean and not recipe.color_noise.base:
        return None
    total = len(dataset.split("train"))
    with observer.progress("mean and colours of the training images", total, "images") as advance:
        before = 0

        def progress(done: int, _: int) -> None:
            nonlocal before
            advance(done - before)
            before = done

        return cached_statistics(dataset, "train", _canvas(recipe, spec), INTERPOLATION, workers, progress, damaged)


def _canvas(recipe: Recipe, spec: Spec) -> Resize:
    side = round(recipe.resize_ratio * spec.input[1])
    return (side, side) if recipe.warp else side


def _preprocessing(recipe: Recipe, spec: Spec, statistics: Statistics | None) -> Preprocessing:
    """What the recipe does to images before the first row, with the training set's own mean where it asks for one."""
    mean_image, mean = None, recipe.mean if isinstance(recipe.mean, tuple) else (0.0, 0.0, 0.0)
    order = slice(None) if recipe.channel_order == "RGB" else slice(None, None, -1)
    if statistics and recipe.mean == "image":
        mean_image = np.ascontiguousarray(statistics.mean_image[order]) * np.float32(recipe.scale)
    elif statistics and recipe.mean == "color":
        first, second, third = (statistics.mean_color[order] * recipe.scale).tolist()
        mean = (first, second, third)
    return Preprocessing(
        resize=_canvas(recipe, spec),
        interpolation=INTERPOLATION,
        crop=spec.input[1],
        channel_order=recipe.channel_order,
        scale=recipe.scale,
        mean=mean,
        std=recipe.std,
        mean_image=mean_image,
    )
