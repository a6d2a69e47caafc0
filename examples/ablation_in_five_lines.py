"""An ablation of your own: a net is a table of rows, so a variant is a function from one table to another.

python examples/ablation_in_five_lines.py caffe
"""

import argparse
from dataclasses import replace

import alexnet
from alexnet.arch import find
from alexnet.arch.rows import Lrn
from alexnet.arch.shapes import total_params
from alexnet.nn import build


def wide_lrn(spec: alexnet.Spec, size: int = 9) -> alexnet.Spec:
    """The same net with normalization over more neighbouring maps."""
    rows = {row.name: replace(row, size=size) for row in spec.rows if isinstance(row, Lrn)}
    return replace(spec.with_rows(rows), name=f"{spec.name}, LRN over {size} maps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", nargs="?", default="krizhevsky-145")
    spec = wide_lrn(find(parser.parse_args().net, num_classes=10))
    net = build(spec, seed=0)
    print(alexnet.summary(spec))
    print(net.norm1)
    assert sum(parameter.numel() for parameter in net.parameters()) == total_params(spec)
