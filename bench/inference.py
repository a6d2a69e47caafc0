"""How fast does a net predict here, by each engine, beside the same engine driven by hand?

    .venv/bin/python bench/inference.py            # both nets, ten rounds
    .venv/bin/python bench/inference.py --quick    # torchvision's net, three rounds
    taskset -c 0 .venv/bin/python bench/inference.py --processor-time   # on a machine that is busy with other things

Rates first: bare engines get crops that are normalized already and give logits; ours get uint8 canvases, as decoding
leaves them, and give ranked labels. Then the latency of one warm photograph, from the bytes of a JPEG to labels, beside
a short script of Pillow, NumPy and the engine. All variants take turns in every round, so that each sees the same
noise; a ratio is the median over rounds of (this one / its peer in the same round). Weights are random: rates do not
depend on them. With --processor-time the clock counts the seconds that the process has run, which on one core (taskset)
hardly depend on what else runs there: then rates are images a second of one core.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from alexnet.arch import find
from alexnet.cores import usable_cores
from alexnet.data.splits import unnamed_classes
from alexnet.engines import Precision, open_engine
from alexnet.export.int8 import quantize
from alexnet.export.onnx import onnx_graph, save_graph, with_preprocessing
from alexnet.export.openvino import load_openvino, save_openvino_graph
from alexnet.nn import create
from alexnet.predict import Classifier
from alexnet.preprocess import Preprocessing, extract_views, normalize
from alexnet.weights import Weights, find_weights
from record import record, spread

NETS = ("one-weird-trick", "krizhevsky-145")
BATCH_SIZES = (1, 128)
CANVAS, CROP, TOP = 256, 224, 5
RATE_ROUNDS, PHOTO_ROUNDS = 7, 200
QUICK_RATE_ROUNDS, QUICK_PHOTO_ROUNDS = 3, 60
LEAST_SECONDS = 0.3  # of one variant in one round
PHOTOS_A_TURN = 5

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESSING = Preprocessing(resize=CANVAS, crop=CROP, scale=1 / 255, mean=MEAN, std=STD)

Work = Callable[[], object]
Clock = Callable[[], float]
Floats = NDArray[np.float32]

# Bare name of a variant to the one that its ratio is taken of.
PEERS = {
    "torch fp32": "torch fp32",
    "torch bf16": "torch fp32",
    "bare onnxruntime fp32": "torch fp32",
    "bare openvino fp32": "torch fp32",
    "bare openvino bf16": "torch fp32",
    "bare openvino int8": "bare openvino bf16",
    "ours onnxruntime fp32": "bare onnxruntime fp32",
    "ours openvino fp32": "bare openvino fp32",
    "ours openvino bf16": "bare openvino bf16",
    "ours onnxruntime int8": "ours onnxruntime fp32",
    "ours openvino int8": "ours openvino bf16",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one net, few rounds")
    parser.add_argument("--processor-time", action="store_true", help="count only the seconds that this process runs")
    options = parser.parse_args()
    quick, clock = options.quick, process_time if options.processor_time else perf_counter
    figures: dict[str, Any] = {}
    print(
        f"{usable_cores()} cores, {CROP} pixels; images/s: median (least to most); ratio to the peer in the same round"
    )
    with TemporaryDirectory() as folder:
        for net in NETS[:1] if quick else NETS:
            nets = Nets(net, Path(folder))
            for batch_size in BATCH_SIZES:
                rates = measure(nets.rates(batch_size), QUICK_RATE_ROUNDS if quick else RATE_ROUNDS, batch_size, clock)
                figures[f"{net}, batch {batch_size}"] = report(f"{net}, batch {batch_size}", rates)
            figures[f"{net}, a photo"] = photo_latency(nets, QUICK_PHOTO_ROUNDS if quick else PHOTO_ROUNDS, clock)
    record("inference", figures)


class Nets:
    """One net in every form that is measured."""

    def __init__(self, net: str, folder: Path) -> None:
        tensors = {key: tensor.numpy() for key, tensor in create(net, num_classes=1000, seed=0).state_dict().items()}
        spec = find(net, num_classes=1000)
        weights = Weights(spec=spec, classes=unnamed_classes(1000), preprocessing=PREPROCESSING, tensors=tensors)
        graph = onnx_graph(weights)
        save_graph(folder / "fp32.onnx", graph)
        crops = [extract_views(canvases(8, seed), CROP, "center")[0] for seed in range(4)]
        features = open_engine("torch", weights, "cpu").features
        save_graph(folder / "int8.onnx", quantize(weights, crops, features, own_lrn=False))
        int8_graph = quantize(weights, crops, features)
        save_openvino_graph(folder / "int8.xml", int8_graph)
        save_openvino_graph(folder / "int8-pixels.xml", with_preprocessing(int8_graph, PREPROCESSING))
        self.torch = {p: open_engine("torch", weights, "cpu", p) for p in ("fp32", "bf16")}
        self.session = onnxruntime.InferenceSession(str(folder / "fp32.onnx"), session_options())
        self.openvino = {
            "fp32": bare_openvino(folder / "fp32.onnx", "f32"),
            "bf16": bare_openvino(folder / "fp32.onnx", "bf16"),
            "int8": bare_openvino(folder / "int8.xml", "bf16"),
        }
        fp32, int8 = find_weights(folder / "fp32.onnx"), find_weights(folder / "int8.onnx")
        self.ours = {
            "onnxruntime fp32": classifier(fp32, "onnxruntime"),
            "openvino fp32": classifier(fp32, "openvino", "fp32"),
            "openvino bf16": classifier(fp32, "openvino", "bf16"),
            "onnxruntime int8": classifier(int8, "onnxruntime"),
            "openvino int8": classifier(find_weights(folder / "int8-pixels.xml"), "openvino"),
        }

    def bare(self) -> dict[str, Callable[[Floats], Floats]]:
        """Bare engines by name: normalized crops to logits."""
        found: dict[str, Callable[[Floats], Floats]] = {"onnxruntime fp32": partial(run_session, self.session)}
        return found | {f"openvino {each}": partial(run_request, self.openvino[each]) for each in self.openvino}

    def rates(self, batch_size: int) -> dict[str, Work]:
        """What is measured, by name, for a batch of one size."""
        images = canvases(batch_size, 0)
        crops = extract_views(images, CROP, "center")[0]
        normalized = normalize(crops, PREPROCESSING)
        works: dict[str, Work] = {f"torch {name}": partial(each.logits, crops) for name, each in self.torch.items()}
        works |= {f"bare {name}": partial(run, normalized) for name, run in self.bare().items()}
        works |= {f"ours {name}": partial(labels_of, each, images) for name, each in self.ours.items()}
        return {name: works[name] for name in PEERS}


def run_session(session: Any, images: Floats) -> Floats:
    logits: Floats = session.run(None, {session.get_inputs()[0].name: images})[0]
    return logits


def run_request(request: Any, images: Floats) -> Floats:
    logits: Floats = request.infer({0: images}, share_inputs=True)[0]
    return logits


def classifier(weights: Weights, engine: str, precision: Precision = "auto") -> Classifier:
    return Classifier(weights=weights, engine=open_engine(engine, weights, "cpu", precision))


def labels_of(found: Classifier, images: NDArray[np.uint8]) -> object:
    return found.ranked(found.probabilities(images), TOP)


def session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = usable_cores(), 3
    return options


def bare_openvino(path: Path, precision: str) -> Any:
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    settings["INFERENCE_NUM_THREADS"] = str(usable_cores())
    return load_openvino().Core().compile_model(path, "CPU", settings).create_infer_request()


def canvases(count: int, seed: int) -> NDArray[np.uint8]:
    """Pictures of large soft spots, uint8 (N, 3, 256, 256)."""
    rng = np.random.default_rng(seed)
    spots = rng.normal(120, 60, (count, 3, 16, 16)).repeat(16, 2).repeat(16, 3)
    return np.clip(spots + rng.normal(0, 20, spots.shape), 0, 255).astype(np.uint8)


def measure(works: dict[str, Work], rounds: int, batch_size: int, clock: Clock) -> dict[str, list[float]]:
    """Images a second of each work in each round."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            runs, start = 0, clock()
            while clock() < start + LEAST_SECONDS:
                work()
                runs += 1
            rates[name].append(runs * batch_size / (clock() - start))
    return rates


def report(title: str, rates: dict[str, list[float]]) -> dict[str, Any]:
    print(f"\n{title}")
    figures = {}
    for name, peer in PEERS.items():
        found = np.array(rates[name])
        ratios = found / np.array(rates[peer])
        figures[name] = {"images_per_second": spread(found.tolist()), "peer": peer, "ratio": spread(ratios.tolist())}
        print(
            f"{name:24} {np.median(found):8.1f} ({found.min():.0f} to {found.max():.0f})   "
            f"{np.median(ratios):5.2f} ({ratios.min():.2f} to {ratios.max():.2f}) x {peer}"
        )
    return figures


def photo_latency(nets: Nets, rounds: int, clock: Clock) -> dict[str, Any]:
    """Milliseconds from the bytes of a photograph to labels: ours, and a bare script, with each engine."""
    content = photo()
    bare = nets.bare()
    pairs = {name: (each, bare[name]) for name, each in nets.ours.items() if name in bare}
    times: dict[str, list[list[float]]] = {name: [[], []] for name in pairs}
    for _ in range(rounds // PHOTOS_A_TURN):
        for name, (ours, run) in pairs.items():
            works: tuple[Work, Work] = (partial(ours.predict, content, TOP), partial(by_hand, content, run))
            for index, work in enumerate(works):
                work()  # not timed: the threads of another engine spin on, and the caches hold its weights
                for _ in range(PHOTOS_A_TURN):
                    start = clock()
                    work()
                    times[name][index].append(1000 * (clock() - start))
    print(f"\none photo ({len(content) / 1e3:.0f} kB), ms: ours and by hand, p50 and p99; ratio of ours")
    figures = {}
    for name, (ours_ms, hand_ms) in times.items():
        at = {q: (float(np.percentile(ours_ms, q)), float(np.percentile(hand_ms, q))) for q in (50, 99)}
        figures[name] = {f"p{q}_ms": pair for q, pair in at.items()}
        print(f"{name:24} " + "   ".join(f"p{q} {a:6.1f} and {b:6.1f}, {a / b:.2f}" for q, (a, b) in at.items()))
    return figures


def by_hand(content: bytes, run: Callable[[Floats], Floats]) -> list[tuple[str, float]]:
    """What a short script does: shorter side to 256, central crop, normalize, softmax, the five most probable."""
    image = Image.open(BytesIO(content)).convert("RGB")
    factor = CANVAS / min(image.size)
    image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR)
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    pixels = np.asarray(image.crop((left, top, left + CROP, top + CROP)), np.float32) / 255
    pixels = (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    logits = run(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))[0]
    probs = np.exp(logits - logits.max())
    probs /= probs.sum()
    return [(str(index), float(probs[index])) for index in np.argsort(-probs)[:TOP]]


def photo() -> bytes:
    """A photograph among the test data, else a drawn one of the same size."""
    folder = Path(os.environ.get("ALEXNET_TEST_DATA") or Path(__file__).parents[2] / "shared/data") / "imagenet-samples"
    found = sorted(folder.rglob("*.JPEG"))
    if found:
        return found[0].read_bytes()
    file = BytesIO()
    Image.fromarray(canvases(1, 0)[0].transpose(1, 2, 0)).resize((500, 375)).save(file, "jpeg")
    return file.getvalue()


if __name__ == "__main__":
    main()
