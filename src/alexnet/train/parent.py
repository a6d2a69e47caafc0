"""What a net takes over from the weights that it begins with: every row, and of the last what fits the classes."""

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.data.splits import DataSet
from alexnet.nn import Net
from alexnet.weights import Weights
from alexnet.weights.classes import find_classes


def known_classes(dataset: DataSet, parent: Weights) -> NDArray[np.int64] | None:
    """For each class of the data the `parent`'s; None where its classifier is of no use, because it lacks some or has
    them in another order in several rows.
    """
    known = find_classes(dataset.classes, parent.classes)
    if known is not None and parent.spec.has_classes_in_parts and known.tolist() != list(range(len(parent.classes))):
        return None
    return known


def take_over(net: Net, parent: Weights, known: NDArray[np.int64] | None) -> str:
    """Put the rows of `parent` into the net, of the last one what is of `known` classes, and tell it in words.

    Where none are known the last row stays new.
    """
    tensors, last = dict(parent.tensors), [row.name for row in net.spec.classifier_rows]
    begin = "begins" if len(last) == 1 else "begin"
    how = "anew: the classes of the data are not the parent's"
    if known is not None:
        how = "as the parent's, for the classes of the data"
    for key in [key for key in tensors if key.partition(".")[0] in last]:
        tensor = tensors.pop(key)
        if known is not None:
            tensors[key] = tensor if parent.spec.has_classes_in_parts else tensor[known]
    net.load_state_dict(net.state_dict() | {key: torch.from_numpy(tensor) for key, tensor in tensors.items()})
    return f"a {parent.spec.name} of {len(parent.classes)} classes; {' and '.join(last)} {begin} {how}"
