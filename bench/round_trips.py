"""What is left of weights after they went into a format and back?

    .venv/bin/python bench/round_trips.py [WEIGHTS]

The weights (default: the shipped ones) are converted to each format that is written, and from there to safetensors. The
differences are of the logits for the probe image, between the original and each of the two, and of the parameters after
the way back, as a share of the largest of their tensor. What a format drops stands beside it.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from alexnet.convert import FORMATS, convert
from alexnet.errors import MissingExtraError
from alexnet.weights import Weights, find_weights
from alexnet.weights.catalog import SUFFIXES


def main(where: str = "tiny-imagenet-200") -> None:
    """Print the table."""
    original = find_weights(where)
    print(f"{'format':12} {'there':>9} {'and back':>9} {'parameters':>11}  dropped")
    for form in FORMATS:
        with TemporaryDirectory() as folder:
            path, back = Path(folder) / f"net{SUFFIXES.get(form, '')}", Path(folder) / "back.safetensors"
            try:
                there, again = convert(where, path, form), convert(path, back)
            except MissingExtraError as error:
                print(f"{form:12} not measured: {error}")
                continue
            lost = largest_difference(original, find_weights(back))
            dropped = ", ".join(dict.fromkeys((*there.dropped, *again.dropped))) or "nothing"
        print(f"{form:12} {there.largest_difference:9.1e} {again.largest_difference:9.1e} {lost}  {dropped}")
    print(f"logits of at most {there.largest_logit:.2g}")


def largest_difference(original: Weights, back: Weights) -> str:
    """Between parameters of the same shapes, as a share of the largest of their tensor."""
    worst = 0.0
    for key, tensor in original.tensors.items():
        if key not in back.tensors or back.tensors[key].shape != tensor.shape:
            return f"{'other net':>11}"
        found = np.abs(np.asarray(back.tensors[key]) - tensor).max() / np.abs(tensor).max()
        worst = max(worst, float(found))
    return f"{worst:11.1e}"


if __name__ == "__main__":
    main(*sys.argv[1:])
