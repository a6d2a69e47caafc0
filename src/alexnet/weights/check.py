"""Whether tensors are weights of a net: every key, every shape, every number."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch import NETS, find
from alexnet.arch.ablations import ABLATIONS
from alexnet.arch.shapes import measure
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError, WeightsError

Shapes = dict[str, tuple[int, ...]]

_NAMED_IN_FULL = 4  # keys listed in an error before "and n more"


def tensor_shapes(spec: Spec) -> Shapes:
    """Key to shape of every parameter of `spec`, in the order of its rows: `conv1.weight`, `conv1.bias`, ...

    conv: weight (out, in / groups, k, k), bias (out,). fc: (out, in / groups), (out,). local: (positions, out, in, k,
    k), (out, h, w).
    """
    return {
        f"{row.row.name}.{part}": shape
        for row in measure(spec)
        for part, shape in (("weight", row.weight), ("bias", row.bias))
        if shape
    }


def check_shapes(spec: Spec, found: Shapes) -> None:
    """Refuse keys and shapes that are not exactly those of the parameters of `spec`.

    Raises:
        WeightsError: one line that names the keys, and the net that the tensors do belong to where one is known.
    """
    if problems := _differences(tensor_shapes(spec), found):
        raise WeightsError(f"{_verdict(spec, found)}: {'; '.join(problems)}")


def check_tensors(spec: Spec, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse tensors that are not exactly the float32, finite parameters of `spec`.

    Raises:
        WeightsError: one line that names the keys, and the net that the tensors do belong to where one is known.
    """
    check_shapes(spec, {key: tensor.shape for key, tensor in tensors.items()})
    if wrong := [f"{key} ({tensor.dtype})" for key, tensor in tensors.items() if tensor.dtype != np.float32]:
        raise WeightsError(f"weights of {spec.name} must be float32; {list_names(wrong)} are not")
    check_finite(spec, tensors)


def check_finite(spec: Spec, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse NaN and infinity.

    Raises:
        WeightsError: one line that names the keys.
    """
    if wrong := [key for key, tensor in tensors.items() if not _is_finite(tensor)]:
        raise WeightsError(f"weights of {spec.name} are damaged: NaN or infinity in {list_names(wrong)}")


def _is_finite(tensor: NDArray[Any]) -> bool:
    """A sum takes a quarter of the time of a look at each; where it overflows, the look decides."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(tensor.sum()) or np.isfinite(tensor).all())


def nets_of(shapes: Shapes) -> list[str]:
    """The nets, and their ablations, that have parameters of just these shapes, for any number of classes."""
    plain = [name for name in NETS if _has_shapes(name, shapes)]
    return plain or [name for base in NETS for tag in ABLATIONS if _has_shapes(name := f"{base}+{tag}", shapes)]


def _has_shapes(name: str, shapes: Shapes) -> bool:
    try:
        return _are_of(find(name), shapes)
    except SpecError:  # an ablation that says nothing about this net
        return False


def _are_of(spec: Spec, shapes: Shapes) -> bool:
    """Are they of this net, with any number of classes?"""
    logits = shapes.get(f"{spec.classifier.name}.bias", ())
    try:
        return len(logits) == 1 and shapes == tensor_shapes(spec.with_classes(logits[0]))
    except SpecError:  # fewer than two classes
        return False


def _differences(wanted: Shapes, found: Shapes) -> list[str]:
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    shapes = [
        f"{key} is {found[key]}, not {shape}" for key, shape in wanted.items() if key in found and found[key] != shape
    ]
    named = (("missing", missing), ("unknown", extra), ("of another shape", shapes))
    return [f"{what} {list_names(keys)}" for what, keys in named if keys]


def _verdict(spec: Spec, found: Shapes) -> str:
    """Whose weights they are. A net may have the name of a known one and be another: people write definitions."""
    if _are_of(spec, found):
        count = found[f"{spec.classifier.name}.bias"][0]
        return f"weights for {count} classes, not the {spec.num_classes} of this {spec.name}"
    owners = nets_of(found)
    if spec.name in owners:
        return f"weights of {spec.name} as it is known here, not of this net, which has only its name"
    if owners:
        return f"weights of {' or '.join(owners)}, not of {spec.name}"
    return f"not weights of {spec.name}"


def list_names(names: Iterable[str]) -> str:
    """`a, b, c, d and 3 more`."""
    names = list(names)
    more = len(names) - _NAMED_IN_FULL
    return ", ".join(names[:_NAMED_IN_FULL]) + (f" and {more} more" if more > 0 else "")
