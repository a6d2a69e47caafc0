"""What do bf16 and int8 cost in accuracy, engine by engine, on images that the net was not trained on?

    .venv/bin/alexnet train CIFAR10 --net cifar-18pct --epochs 2 --out runs/RUN
    .venv/bin/python bench/int8_accuracy.py runs/RUN CIFAR10

Int8 is calibrated on 256 training images of DATA, once for each runtime. Every image of the test split (else val) goes
through float32 (torch) and through each of the others: printed are top-1 error, how often the first class is that of
float32, and how many of its first five are.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from alexnet.convert import convert
from alexnet.data.collection import open_collection
from alexnet.data.datasets import open_data
from alexnet.data.loader import eval_batches
from alexnet.data.splits import Split
from alexnet.predict import Classifier, load
from alexnet.preprocess import extract_views
from alexnet.weights.classes import match_classes
from record import record

FIRST = "float32, torch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("data", metavar="DATA")
    options = parser.parse_args()
    data = open_data(options.data)
    split = data.split("test", "val")
    with TemporaryDirectory() as folder:
        files = {suffix: Path(folder, f"int8.{suffix}") for suffix in ("onnx", "xml")}
        for path in files.values():
            convert(options.weights, path, calibration=open_collection([options.data], "train"))
        sides = {
            FIRST: load(options.weights, "torch", device="cpu"),
            "bf16, torch": load(options.weights, "torch", device="cpu", precision="bf16"),
            "bf16, OpenVINO": load(options.weights, "openvino", precision="bf16"),
            "int8, OpenVINO": load(files["xml"], "openvino"),
            "int8, ONNX Runtime": load(files["onnx"], "onnxruntime"),
        }
        top5, labels = {}, np.zeros(0, np.int64)
        for name, classifier in sides.items():
            top5[name], labels = answers(classifier, split)
    truth = match_classes(data.classes, sides[FIRST].classes)[labels]
    figures = {}
    print(f"{sides[FIRST].weights.spec.name} on {data.name}, {len(truth):,} images, central view")
    for name, found in top5.items():
        same = float((found[:, 0] == top5[FIRST][:, 0]).mean())
        shared = float(np.mean([np.isin(a, b).mean() for a, b in zip(found, top5[FIRST], strict=True)]))
        error = float((found[:, 0] != truth).mean())
        figures[name] = {"top1_error": error, "same_first_class": same, "first_five_shared": shared}
        print(f"  {name:20} error {error:7.2%}   same first class {same:8.2%}   first five shared {shared:8.2%}")
    record("int8_accuracy", {"weights": sides[FIRST].weights.spec.name, "images": len(truth), "sides": figures})


def answers(classifier: Classifier, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The five most probable classes (N, 5), best first, and the labels (N,) of the data."""
    found, labels = [], []
    for canvases, true, _ in eval_batches(split, batch_size=128, preprocessing=classifier.preprocessing):
        crops = extract_views(canvases, classifier.preprocessing.crop, "center")[0]
        found.append(np.argsort(-classifier.engine.logits(crops), axis=1, kind="stable")[:, :5])
        labels.append(true)
    return np.concatenate(found), np.concatenate(labels)


if __name__ == "__main__":
    main()
