"""A network of rows as a torch module."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alexnet.arch.layers import feature_row
from alexnet.arch.rows import AdaptiveAvgPool, Conv, Fc, Local, Lrn, Pool, SameMapNorm
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.nn.rows import build_row

# Rows that give a tensor of their own, which their own gradient does not need: the only reader may overwrite it.
# (Dropout in evaluation gives its input itself; ReLU, tanh and softmax keep their output.)
DISPOSABLE = (Conv, Local, Fc, Lrn, SameMapNorm, Pool, AdaptiveAvgPool)


class Net(nn.Module):
    """A network built from `spec`; one child module a row, under the row's name.

    Images are float (N, 3, H, W), 0 to 255 minus a mean unless the weights say otherwise; `forward` returns logits
    (N, num_classes): the rows up to the softmax, which `features(images, ["prob"])` adds.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        shapes = measure(spec)
        readers = Counter(name for shape in shapes for name in shape.inputs)
        disposable = {shape.row.name for shape in shapes if isinstance(shape.row, DISPOSABLE)}
        for shape in shapes:
            read = shape.inputs[0]
            # Not add_module, which refuses the names of its own attributes: files call rows what they like.
            self._modules[shape.row.name] = build_row(shape, in_place=read in disposable and readers[read] == 1)
        self._steps = [(shape.row.name, shape.inputs) for shape in shapes]
        # After its last reader a value is let go, so that memory does not grow with depth.
        self._last_reader = {name: reader for reader, inputs in self._steps for name in inputs}
        self._logits = shapes[-1].inputs[0]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of float `images` (N, C, H, W)."""
        logits: Tensor = self._run(images, {self._logits})[self._logits]
        return logits

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The named rows' outputs as copies: (N, C, H, W), or (N, features) from the first fc row on.

        `fc7` is the row after its ReLU and before dropout; `fc7:pre` is the raw row.

        Raises:
            UnknownNameError: no such row.
        """
        rows = {layer: feature_row(self.spec, layer) for layer in layers}
        values = self._run(images, set(rows.values()), copy=True)
        return {layer: values[row] if layer == row else values[row].clone() for layer, row in rows.items()}

    def _run(self, images: Tensor, wanted: set[str], *, copy: bool = False) -> dict[str, Tensor]:
        """The rows in order until all `wanted` are there; copied on the spot, where the next row may work in place."""
        values: dict[str, Tensor] = {IMAGE: images}
        found: dict[str, Tensor] = {}
        for name, inputs in self._steps:
            x = values[inputs[0]] if len(inputs) == 1 else torch.cat([values[read] for read in inputs], 1)
            values[name] = self._modules[name](x)  # type: ignore[misc]
            if name in wanted:
                found[name] = values[name].clone() if copy else values[name]
                if len(found) == len(wanted):
                    break
            for read in set(inputs):
                if self._last_reader[read] == name:
                    del values[read]
        return found
