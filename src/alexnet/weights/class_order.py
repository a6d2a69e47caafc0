"""The same weights with their classes in another order: rows of the classifier, names and the probe's logits together.

cuda-convnet numbers ILSVRC's classes as the development kit does, Caffe and torchvision by WordNet id.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alexnet.data.ilsvrc import ClassOrder, folder_name, imagenet_classes, order_classes
from alexnet.errors import InputError
from alexnet.weights.files import Weights
from alexnet.weights.probe import make_probe, with_errors


def in_class_order(weights: Weights, order: ClassOrder) -> Weights:
    """`weights` with their classes by name (`sorted`; WordNet ids, where they have some) or as in the `devkit`.

    Raises:
        InputError: the devkit's order of classes that it does not know, or classes in several rows of the net.
    """
    wanted = [folder_name(info) for info in order_classes(map(folder_name, weights.classes), order, "these weights")]
    present = [folder_name(info) for info in weights.classes]
    return weights if wanted == present else _reordered(weights, [present.index(name) for name in wanted])


def knows_ilsvrc(weights: Weights) -> bool:
    """Whether its classes are ILSVRC's 1,000, in whatever order."""
    return {info.wnid for info in weights.classes} == imagenet_classes().keys()


def _reordered(weights: Weights, places: Sequence[int]) -> Weights:
    """`places`: for each new class the old one."""
    if weights.spec.has_classes_in_parts:
        raise InputError(f"{weights.spec.name} has its classes in several rows; their order cannot be changed")
    rows = {row.name for row in weights.spec.classifier_rows}
    keys = [key for key in weights.tensors if key.partition(".")[0] in rows]
    moved: dict[str, NDArray[np.float32]] = {key: weights.tensors[key][list(places)] for key in keys}
    classes = tuple(replace(weights.classes[old], index=new) for new, old in enumerate(places))
    child = replace(weights, tensors={**weights.tensors, **moved}, classes=classes)
    if weights.probe is None:
        return child
    logits = np.asarray(weights.probe["logits"], np.float32)[list(places)]
    return with_errors(replace(child, probe=make_probe(child, logits)), weights.errors)
