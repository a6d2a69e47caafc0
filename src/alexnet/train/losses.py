"""What a net is trained to make small: the cost layers of the 2012 release, in logits.

Each takes logits (N, K), before softmax or logistic units, and labels int64 (N,), which stand for a row of K zeros with
a one at the label; each gives the mean over the N images. Source: 2012 release, layer.py and cost kernels.
"""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def logreg(logits: Tensor, labels: Tensor) -> Tensor:
    """Of a softmax: the negative logarithm of the label's probability."""
    return F.cross_entropy(logits, labels)


def crossent2(logits: Tensor, labels: Tensor) -> Tensor:
    """Of logistic units: each is asked for itself whether the image is of its class."""
    return F.binary_cross_entropy_with_logits(logits, _targets(logits, labels), reduction="sum") / len(logits)


def rflickr(logits: Tensor, labels: Tensor) -> Tensor:
    """Of logistic units: the logarithm of one plus the squared difference, which a wrong label moves less."""
    return (logits.sigmoid() - _targets(logits, labels)).square().log1p().sum() / len(logits)


def sum2(logits: Tensor, labels: Tensor) -> Tensor:
    """Of logistic units: the squared differences."""
    return (logits.sigmoid() - _targets(logits, labels)).square().sum() / len(logits)


LOSSES: Mapping[str, Loss] = {"logreg": logreg, "crossent2": crossent2, "rflickr": rflickr, "sum2": sum2}


def _targets(logits: Tensor, labels: Tensor) -> Tensor:
    return F.one_hot(labels, logits.shape[1]).to(logits.dtype)
