"""What devices that share a training step send each other, by row: three ways to share, from the table alone.

A step's activations cross where `alexnet.arch.cut` says so, forwards and, as gradients, backwards; gradients of weights
that several devices have are added up. Bytes are those that one device sends, if every all-gather, reduce-scatter and
all-reduce is a ring, which no algorithm undercuts: (P - 1) / P of the whole, twice that for an all-reduce.

Source: Krizhevsky 2014, arXiv 1404.5997, sec. 3 and 4. Standard library only.
"""

from collections.abc import Mapping
from math import prod

from alexnet.arch.cut import at_first_fc, cut
from alexnet.arch.shapes import FLOAT32_BYTES, measure
from alexnet.arch.spec import Spec

Bytes = dict[str, int]  # by row, those that send anything


def of_data_parallel(spec: Spec, num_devices: int) -> Bytes:
    """The gradients of all weights, added up, in float32; whatever the batch."""
    return {
        shape.row.name: _ring(2 * FLOAT32_BYTES * shape.params, num_devices)
        for shape in measure(spec)
        if shape.params and num_devices > 1
    }


def of_parts(spec: Spec, num_devices: int, batch_size: int, number_bytes: int) -> Bytes:
    """What rows in parts read of other devices, gathered, and its gradient, added up and scattered; and the logits.

    `batch_size` images, of all devices; `number_bytes`: of an activation, 2 in bf16.
    """
    found: Bytes = {}
    if num_devices == 1:
        return found
    rows = {row.name: row for row in cut(spec, num_devices)}
    for row in rows.values():
        crossing = [rows[name] for name in row.whole.inputs if row.crosses and rows[name].is_cut]
        if numbers := sum(prod(read.whole.output) for read in crossing):
            found[row.name] = 2 * _ring(numbers * batch_size * number_bytes, num_devices)
    # All go on alike with the logits: forwards alone.
    found[spec.rows[-1].name] = _ring(spec.num_classes * batch_size * number_bytes, num_devices)
    return found


def of_one_weird_trick(spec: Spec, num_devices: int, batch_size: int, number_bytes: int) -> Bytes:
    """Gradients of the rows before the first fc row; what that reads, of all images; and the fc rows in parts.

    Of one machine; what several send each other beyond the first of these: `between_machines`.
    """
    if num_devices == 1:
        return {}
    trunk, last, head = at_first_fc(spec)
    gradients = {name: sent for name, sent in of_data_parallel(spec, num_devices).items() if name in trunk}
    read = prod(next(shape.output for shape in measure(spec) if shape.row.name == last))
    parts = of_parts(head, num_devices, batch_size, number_bytes)
    first = head.rows[0].name
    return gradients | {first: 2 * _ring(read * batch_size * number_bytes, num_devices)} | parts


def between_machines(spec: Spec, num_machines: int, num_devices: int) -> Bytes:
    """Gradients of a part of the fc rows, of which each of `num_machines` has all, on `num_devices`; in float32.

    The first device sends most, where outputs do not divide.
    """
    parts = cut(at_first_fc(spec).head, num_devices)
    sent = {row.name: _ring(2 * FLOAT32_BYTES * row.parts[0].params, num_machines) for row in parts}
    return {name: count for name, count in sent.items() if count}


def total(sent: Mapping[str, int]) -> int:
    """Of all rows."""
    return sum(sent.values())


def _ring(whole: int, num_devices: int) -> int:
    return whole * (num_devices - 1) // num_devices
