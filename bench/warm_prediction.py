"""What does a prediction cost beyond the bare engine, once everything is loaded?

    .venv/bin/python bench/warm_prediction.py [PHOTOS]

Of a photo, from the file to ranked labels: `Classifier.predict` against a dozen lines of Pillow, NumPy and ONNX Runtime
on the same float32 file; median and 99th percentile. Of 128 canvases in memory, uint8 to ranked labels: against the
bare runtime fed with float32 pixels that are ready. They take turns in one process; ratios are of neighbours in time.
Each turn begins with one run that is not timed: the other side's threads spin on for some milliseconds, and its weights
are in the caches.
"""

import os
import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.export.onnx import onnx_graph, save_graph
from alexnet.nn import create
from alexnet.predict import Classifier, load
from alexnet.preprocess import Preprocessing, extract_views, normalize
from alexnet.weights import Weights
from record import record

NETS = ("one-weird-trick", "krizhevsky-145")
PHOTO_ROUNDS, BATCH_ROUNDS, BATCH_SIZE = 40, 11, 128
PHOTOS_A_TURN = 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTOS = Path(__file__).resolve().parent.parent / "../shared/data/imagenet-samples"

Timed = Callable[[], object]


def main() -> None:
    photos = sorted((Path(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS).rglob("*.JPEG"))
    print(f"{os.cpu_count()} cores, ONNX Runtime {onnxruntime.__version__}, {len(photos)} photos in turn")
    figures = {}
    with TemporaryDirectory() as folder:
        for net in NETS:
            path = Path(folder) / f"{net}.onnx"
            save_graph(path, onnx_graph(random_weights(net)))
            session = onnxruntime.InferenceSession(path)
            classifier = load(path, "onnxruntime")
            for what, works, rounds, runs in (
                ("one photo", one_photo(session, classifier, photos), PHOTO_ROUNDS, PHOTOS_A_TURN),
                (f"batch {BATCH_SIZE}", one_batch(session, classifier), BATCH_ROUNDS, 1),
            ):
                figures[f"{net}, {what}"] = compare(f"{net}, {what}", *works, rounds, runs)
    record("warm_prediction", figures)


def random_weights(net: str) -> Weights:
    return Weights(
        spec=find(net),
        classes=unnamed_classes(1000),
        preprocessing=Preprocessing(scale=1 / 255, mean=MEAN, std=STD),
        tensors={key: tensor.numpy() for key, tensor in create(net, seed=0).state_dict().items()},
    )


def one_photo(
    session: onnxruntime.InferenceSession, classifier: Classifier, photos: Sequence[Path]
) -> tuple[Timed, Timed]:
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def bare(photo: Path) -> object:
        image = Image.open(photo).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BILINEAR)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
        pixels = ((pixels - mean) / std).transpose(2, 0, 1)[None]
        return session.run(None, {"images": pixels})[0].argmax()

    first, second = cycle(photos), cycle(photos)
    return lambda: bare(next(first)), lambda: classifier.predict(next(second))


def one_batch(session: onnxruntime.InferenceSession, classifier: Classifier) -> tuple[Timed, Timed]:
    canvases = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, 3, 256, 256), dtype=np.uint8)
    ready = normalize(extract_views(canvases, 224, "center")[0], classifier.preprocessing)
    return lambda: session.run(None, {"images": ready}), lambda: ranked(classifier, canvases)


def ranked(classifier: Classifier, canvases: NDArray[np.uint8]) -> object:
    return classifier.ranked(classifier.probabilities(canvases))


def compare(what: str, bare: Timed, ours: Timed, rounds: int, runs: int) -> dict[str, object]:
    """Both in turn; the ratios are of medians, of 99th percentiles, and the median of those of neighbours."""
    times = [(elapsed(bare, runs), elapsed(ours, runs)) for _ in range(rounds)]
    seconds = np.concatenate([np.array(pair).T for pair in times])
    low, middle, p99, high = np.percentile(seconds, (0, 50, 99, 100), axis=0) * 1e3
    ratios = {
        "medians": middle[1] / middle[0],
        "p99": p99[1] / p99[0],
        "neighbours": float(np.median(seconds[:, 1] / seconds[:, 0])),
    }
    print(f"{what}, {rounds} turns of {runs}")
    for index, name in enumerate(("bare ONNX Runtime", "alexnet")):
        print(f"  {name:18} {middle[index]:8.1f} ms [{low[index]:.1f}, {high[index]:.1f}]  p99 {p99[index]:.1f} ms")
    print("  ratio " + ", ".join(f"{ratio:.2f} of {of}" for of, ratio in ratios.items()))
    milliseconds = {"min": low.tolist(), "median": middle.tolist(), "p99": p99.tolist(), "max": high.tolist()}
    return {"bare_and_ours_ms": milliseconds, "ratios": ratios, "rounds": rounds, "runs": runs}


def elapsed(work: Timed, runs: int) -> list[float]:
    """Seconds of each of `runs`, after one more."""
    work()
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
