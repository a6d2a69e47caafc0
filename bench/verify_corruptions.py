"""Does `alexnet verify` catch what goes wrong with weights, does it say what it was, and how long does it take?

    .venv/bin/python bench/verify_corruptions.py                              # a small net, trained on the digits first
    .venv/bin/python bench/verify_corruptions.py WEIGHTS.safetensors OTHER.safetensors

Corrupts a file of weights in every way below, two hundred times in all with fixed seeds, and verifies each spoiled file
in this process. OTHER is the same net at another moment. The table says how many were caught, how many in words that
name the mistake, the smallest difference of the probe's logits in units of the tolerance (below 1, logits alone would
have missed it), and the seconds of the median and the slowest one.
"""

import json
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from alexnet.arch.serial import spec_from_json
from alexnet.cli.progress import Watcher
from alexnet.errors import WeightsError
from alexnet.nn import build
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.verify import verify
from alexnet.weights.files import MEAN_IMAGE, METADATA_KEY

TOTAL = 200
Tensors = dict[str, NDArray[np.float32]]


@dataclass
class Copy:
    """A copy of weights that may be spoiled. `other`: the tensors of the same net at another moment."""

    tensors: Tensors
    metadata: dict[str, Any]
    other: Tensors
    rng: np.random.Generator
    share: float = 1.0  # of the file's bytes that are kept

    def pick(self, *parts: str, dims: tuple[int, ...] = (1, 2, 3, 4, 5)) -> str:
        """The key of a random parameter."""
        keys = [key for key in self.tensors if key != MEAN_IMAGE and self.tensors[key].ndim in dims]
        return str(self.rng.choice([key for key in keys if not parts or key.endswith(parts)]))

    @property
    def rows(self) -> list[str]:
        """The rows that have weights, in the net's order."""
        return [row["name"] for row in self.metadata["spec"]["rows"] if f"{row['name']}.weight" in self.tensors]

    def initial(self) -> Tensors:
        """The parameters of the same net before any training."""
        net = build(spec_from_json(self.metadata["spec"]), seed=int(self.rng.integers(2**31)))
        return {key: tensor.detach().numpy() for key, tensor in net.state_dict().items()}


Corruption = Callable[[Copy], str]  # spoils the copy and returns words that should be in the message


def one_layer_untrained(copy: Copy) -> str:
    row = str(copy.rng.choice(copy.rows))
    copy.tensors |= {key: tensor for key, tensor in copy.initial().items() if key.startswith(f"{row}.")}
    return f"{row}.weight"


def one_layer_random(copy: Copy) -> str:
    key = copy.pick("weight")
    tensor = copy.tensors[key]
    copy.tensors[key] = copy.rng.normal(tensor.mean(), tensor.std(), tensor.shape).astype(np.float32)
    return f"{key} is changed"


def all_untrained(copy: Copy) -> str:
    copy.tensors |= copy.initial()
    return "untrained|random"


def all_random(copy: Copy) -> str:
    for key, tensor in copy.tensors.items():
        if key != MEAN_IMAGE:
            copy.tensors[key] = copy.rng.normal(0, 0.01, tensor.shape).astype(np.float32)
    return "random"


def bgr_first_layer(copy: Copy) -> str:
    key = f"{copy.rows[0]}.weight"
    copy.tensors[key] = copy.tensors[key][:, ::-1]
    return f"{key} is in BGR order"


def bgr_mean_image(copy: Copy) -> str:
    copy.tensors[MEAN_IMAGE] = copy.tensors[MEAN_IMAGE][::-1]
    return f"{MEAN_IMAGE} is in BGR order"


def bgr_in_metadata(copy: Copy) -> str:
    copy.metadata["preprocessing"]["channel_order"] = "BGR"
    return "preprocessing is changed: channel_order was RGB"


def another_filter_in_metadata(copy: Copy) -> str:
    copy.metadata["preprocessing"]["interpolation"] = "nearest"
    return "preprocessing is changed: interpolation was "


def warped_in_metadata(copy: Copy) -> str:
    size = copy.metadata["preprocessing"]["resize"]
    copy.metadata["preprocessing"]["resize"] = [size, size]
    return "preprocessing is changed: resize was "


def net_renamed(copy: Copy) -> str:
    copy.metadata["spec"]["name"] += "+better"
    return "net is changed"


def recipe_edited(copy: Copy) -> str:
    copy.metadata["recipe"] = {**copy.metadata["recipe"], "epochs": 1e6}
    return "recipe is changed"


def errors_edited(copy: Copy) -> str:
    copy.metadata["errors"] = [{**measured, "top1_error": 0.0} for measured in copy.metadata["errors"]]
    return "measured errors is changed"


def logits_of_infinity(copy: Copy) -> str:
    logits = copy.metadata["probe"]["logits"]
    logits[copy.rng.integers(len(logits))] = float("inf")
    return "Infinity is no number"


def a_checksum_removed(copy: Copy) -> str:
    name = str(copy.rng.choice(list(copy.metadata["probe"]["crc32"])))
    del copy.metadata["probe"]["crc32"][name]
    return f"no checksum of {name}"


def all_checksums_removed(copy: Copy) -> str:
    copy.metadata["probe"]["crc32"].clear()
    return "no checksum of "


def kernels_transposed(copy: Copy) -> str:
    key = copy.pick("weight", dims=(4, 5))
    copy.tensors[key] = copy.tensors[key].swapaxes(-1, -2)
    return f"{key} is transposed"


def all_kernels_transposed(copy: Copy) -> str:
    for key, tensor in copy.tensors.items():
        if tensor.ndim > 3:
            copy.tensors[key] = tensor.swapaxes(-1, -2)
    return "are transposed|is transposed"


def kernels_mirrored(copy: Copy) -> str:
    key = copy.pick("weight", dims=(4, 5))
    copy.tensors[key] = copy.tensors[key][..., ::-1]
    return f"{key} is mirrored"


def kernels_turned(copy: Copy) -> str:
    key = copy.pick("weight", dims=(4, 5))
    copy.tensors[key] = copy.tensors[key][..., ::-1, ::-1]
    return f"{key} is turned by 180 degrees"


def matrix_transposed(copy: Copy) -> str:
    """In the shape that is wanted: as a square one, or one written in Fortran order, is."""
    key = copy.pick("weight", dims=(2,))
    tensor = copy.tensors[key]
    copy.tensors[key] = np.ascontiguousarray(tensor.T).reshape(tensor.shape)
    return f"{key} is transposed"


def matrix_of_transposed_shape(copy: Copy) -> str:
    key = f"{copy.rows[-1]}.weight"
    copy.tensors[key] = copy.tensors[key].T
    return "of another shape"


def mean_image_removed(copy: Copy) -> str:
    del copy.tensors[MEAN_IMAGE]
    return "mean.* is missing"


def mean_image_of_zeros(copy: Copy) -> str:
    copy.tensors[MEAN_IMAGE] = np.zeros_like(copy.tensors[MEAN_IMAGE])
    return "mean is missing"


def mean_of_zeros_in_its_place(copy: Copy) -> str:
    del copy.tensors[MEAN_IMAGE]
    copy.metadata["preprocessing"]["mean"] = [0.0, 0.0, 0.0]
    return "mean.* is missing"


def pixels_scaled(copy: Copy) -> str:
    copy.metadata["preprocessing"]["scale"] = 1 / 255
    return "preprocessing is changed: scale was 1"


def another_moment(copy: Copy) -> str:
    copy.tensors |= copy.other
    return "another moment or run"


def one_layer_of_another_moment(copy: Copy) -> str:
    key = copy.pick("weight")
    copy.tensors[key] = copy.other[key]
    return f"{key} is changed"


def one_sign_flipped(copy: Copy) -> str:
    key = copy.pick()
    place = copy.rng.choice(np.flatnonzero(copy.tensors[key]))
    copy.tensors[key].flat[place] *= -1
    return f"{key} is changed"


def one_bit_flipped(copy: Copy) -> str:
    """In a mantissa, as the number must stay one."""
    key = copy.pick()
    place = copy.rng.integers(copy.tensors[key].size)
    copy.tensors[key].reshape(-1).view(np.uint32)[place] ^= np.uint32(1 << copy.rng.integers(23))
    return f"{key} is changed"


def filters_shuffled(copy: Copy) -> str:
    key = copy.pick("weight")
    copy.tensors[key] = copy.rng.permutation(copy.tensors[key])
    return f"{key} is changed|classes"


def layer_scaled(copy: Copy) -> str:
    key = copy.pick("weight")
    copy.tensors[key] = copy.tensors[key] * np.float32(copy.rng.choice([0.5, 0.99, 1.01, 2]))
    return f"{key} is changed"


def classes_of_the_last_layer_permuted(copy: Copy) -> str:
    order = copy.rng.permutation(len(copy.metadata["classes"]))
    for part in ("weight", "bias"):
        key = f"{copy.rows[-1]}.{part}"
        copy.tensors[key] = copy.tensors[key][order]
    return "classes are others, or in another order"


def class_names_permuted(copy: Copy) -> str:
    classes = copy.metadata["classes"]
    names = copy.rng.permutation([info["name"] for info in classes]).tolist()
    for info, name in zip(classes, names, strict=True):
        info["name"] = name
    return "classes are others, or in another order"


def not_a_number(copy: Copy) -> str:
    key = copy.pick()
    copy.tensors[key].flat[copy.rng.integers(copy.tensors[key].size)] = copy.rng.choice([np.nan, np.inf])
    return f"NaN or infinity in {key}"


def tensor_of_another_layer(copy: Copy) -> str:
    twins = [
        (one, other)
        for one in copy.tensors
        for other in copy.tensors
        if one != other and copy.tensors[one].shape == copy.tensors[other].shape
    ]
    one, other = twins[copy.rng.integers(len(twins))]
    copy.tensors[one] = copy.tensors[other].copy()
    return f"{one} is that of {other}"


def truncated(copy: Copy) -> str:
    copy.share = copy.rng.random()
    return "not a whole safetensors file|an empty file|not a file of weights"


CORRUPTIONS: tuple[Corruption, ...] = (
    truncated,
    not_a_number,
    all_random,
    all_untrained,
    one_layer_random,
    one_layer_untrained,
    another_moment,
    one_layer_of_another_moment,
    tensor_of_another_layer,
    bgr_first_layer,
    bgr_mean_image,
    bgr_in_metadata,
    another_filter_in_metadata,
    warped_in_metadata,
    net_renamed,
    recipe_edited,
    errors_edited,
    logits_of_infinity,
    a_checksum_removed,
    all_checksums_removed,
    kernels_transposed,
    all_kernels_transposed,
    kernels_mirrored,
    kernels_turned,
    matrix_transposed,
    matrix_of_transposed_shape,
    mean_image_removed,
    mean_image_of_zeros,
    mean_of_zeros_in_its_place,
    pixels_scaled,
    filters_shuffled,
    layer_scaled,
    classes_of_the_last_layer_permuted,
    class_names_permuted,
    one_sign_flipped,
    one_bit_flipped,
)


def spoil(corruption: Corruption, whole: Path, other: Tensors, seed: int, spoiled: Path) -> str:
    """Write a corrupted copy of the file `whole` to `spoiled`; the words that should be in the message."""
    metadata, tensors = read(whole)
    copy = Copy(tensors, metadata, other, np.random.default_rng(seed))
    words = corruption(copy)
    arrays = {key: np.ascontiguousarray(tensor) for key, tensor in copy.tensors.items()}
    save_file(arrays, spoiled, {METADATA_KEY: json.dumps(copy.metadata)})
    with spoiled.open("r+b") as file:
        file.truncate(int(spoiled.stat().st_size * copy.share))
    return words


def read(path: Path) -> tuple[dict[str, Any], Tensors]:
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()[METADATA_KEY]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def applies(corruption: Corruption, tensors: Tensors) -> bool:
    """Where there is no mean image, none can be spoiled."""
    return MEAN_IMAGE in tensors or not corruption.__name__.startswith(("mean_", "bgr_mean"))


@dataclass
class Row:
    """What became of the corruptions of one kind."""

    made: int = 0
    caught: int = 0
    named: int = 0
    least: float = float("inf")  # difference of the logits, in units of the tolerance
    seconds: list[float] = field(default_factory=list)

    def count(self, message: str, words: str, seconds: float) -> None:
        self.made += 1
        self.caught += bool(message)
        self.named += bool(re.search(words, message))
        self.seconds.append(seconds)
        if shown := re.search(r"differ by (\S+), by (\S+) at most", message):
            self.least = min(self.least, float(shown[1]) / float(shown[2]))

    def __str__(self) -> str:
        times = f"{median(self.seconds):8.2f}  {max(self.seconds):9.2f}"
        return f"{self.made:4} {self.caught:6} {self.named:5}  {self.least:16.2g}  {times}"


def complaint(path: Path) -> str:
    """What `verify` says against a file; nothing if it is content."""
    try:
        verify(path)
    except WeightsError as error:
        return str(error)
    return ""


def main(whole: Path, other: Path) -> None:
    verify(whole)  # sound, and everything is loaded once
    tensors = read(whole)[1]
    others = {key: tensor for key, tensor in read(other)[1].items() if key != MEAN_IMAGE}
    kinds = [corruption for corruption in CORRUPTIONS if applies(corruption, tensors)]
    rows = {corruption.__name__: Row() for corruption in kinds}
    with TemporaryDirectory() as folder:
        spoiled = Path(folder, "spoiled.safetensors")
        for seed in range(TOTAL):
            corruption = kinds[seed % len(kinds)]
            words = spoil(corruption, whole, others, seed, spoiled)
            start = perf_counter()
            message = complaint(spoiled)
            rows[corruption.__name__].count(message, words, perf_counter() - start)
            if not re.search(words, message):
                print(f"{corruption.__name__}, seed {seed}: {message or 'missed'}", file=sys.stderr)
    print(f"{whole.name}, {whole.stat().st_size / 1e6:.1f} MB, {machine()}, in one process, files in the page cache")
    print(f"{'kind':36} made caught named  least difference  median s  slowest s")
    for name, row in rows.items():
        print(f"{name:36} {row}")
    made, caught, named = (sum(getattr(row, part) for row in rows.values()) for part in ("made", "caught", "named"))
    print(f"{'all':36} {made:4} {caught:6} {named:5}")


def machine() -> str:
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def trained_on_digits(folder: Path, epochs: int) -> Path:
    """The last weights of a short run; runs of one seed and different length are two moments of one net."""
    out = train(RunOptions(data="digits", epochs=epochs), Watcher(), out=folder / str(epochs)).out
    return out / "last.safetensors"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        with TemporaryDirectory() as folder:
            main(*(trained_on_digits(Path(folder), epochs) for epochs in (2, 1)))
