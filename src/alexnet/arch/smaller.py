"""A net on smaller images than it was made for, with the same weights: what a run begins with to save time.

The maps before the first fc row come out smaller, and are spread over the cells that it was made for, as torchvision's
net spreads them. Source: training on growing images is Howard's (fast.ai, DAWNBench 2018). Standard library only.
"""

from dataclasses import replace

from alexnet.arch.rows import AdaptiveAvgPool, Fc
from alexnet.arch.shapes import RowShape, measure
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError


def smaller(spec: Spec, input_size: int) -> Spec:
    """`spec` for square images of another size; every weight has the shape that it has there.

    Raises:
        SpecError: images so small that a row has nothing left, or rows whose weights follow from the image's size.
    """
    other = spec.with_input(input_size)
    for was, row in zip(measure(spec), measure(other), strict=True):
        if was.weight == row.weight and was.bias == row.bias:
            continue
        _, height, width = was.input
        if not isinstance(was.row, Fc) or len(was.inputs) != 1 or height != width:
            raise SpecError(f"{spec.name}: row {was.row.name} fits images of {spec.input[1]} pixels alone")
        other = _with_spread(other, was)
    return other


def _with_spread(spec: Spec, fc: RowShape) -> Spec:
    """`spec` with the map that `fc` reads brought to the size that it had."""
    spread = AdaptiveAvgPool(f"spread_{fc.row.name}", fc.input[1], inputs=fc.inputs)
    rows = []
    for row in spec.rows:
        rows += [spread, replace(row, inputs=())] if row.name == fc.row.name else [row]
    return replace(spec, rows=tuple(rows))
