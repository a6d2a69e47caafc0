"""Weights made small: pruned, and made to share values, while they are trained on; then coded. And what that cost.

Source: Han, Mao and Dally 2016, arXiv 1510.00149 (Deep Compression).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log2
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import check_folder
from alexnet.data.damaged import DamagedImages
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.errors import InputError
from alexnet.evaluate import Evaluation, evaluate
from alexnet.predict import load
from alexnet.recipes import SharedValues
from alexnet.train.observer import Observer, Printing
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.train.saver import LAST
from alexnet.train.sharing import centres_of, most_values, nearest
from alexnet.verify import probe_logits
from alexnet.weights import Weights, find_weights, make_probe
from alexnet.weights.catalog import RUN_FILE
from alexnet.weights.classes import find_classes
from alexnet.weights.files import save_packed, write_metadata
from alexnet.weights.packed import Coded, is_coded, pack_image, unpack_image
from alexnet.weights.probe import with_errors

RUNS = ".runs"  # the folder beside the file that is made
SHARING_PART = 0.3  # of the epochs

_HEADER_BYTES = 90  # of safetensors for one array
_PLACE_BITS, _FLOAT_BITS = 8, 32  # of a pruned weight before it is coded: the gap before it, and its value


@dataclass(frozen=True, kw_only=True)
class CompressOptions:
    """How small, and with how much work. `data`: to train and measure on; without it values are shared, no more.

    licence: put into the file; None keeps the original's. reduce_to: what pictures are reduced to before they are shown
    to the small net (`Preprocessing`); None keeps the original's.
    """

    data: str | None
    target_bytes: int
    epochs: int = 10
    batch_size: int | None = None
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    workers: int = 2
    limit_train_batches: int | None = None
    licence: str | None = None
    reduce_to: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The net at one point of the way. `bytes`: of its file; of those that are not written, as their parts would be.

    Errors are fractions of the held-out images, centre view; `agreement` is the share of them whose first class is the
    original's. None where nothing is held out.
    """

    name: str
    bytes: int
    top1_error: float | None = None
    top5_error: float | None = None
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """What became of weights. `kept`: the share of them that is not zero; `split`: where errors were measured."""

    kept: float
    split: str | None
    stages: tuple[Stage, ...]


def compress(
    source: str | Path,
    destination: str | Path,
    options: CompressOptions,
    *,
    resume: bool = False,
    observer: Observer | None = None,
) -> Compressed:
    """Write the weights at `source` to `destination`, whole or not at all, in about `options.target_bytes`.

    Two runs train on the data: in the first, weights are taken away; in the second, those that are left share values.
    Both are kept in a folder beside `destination` until the end, and `resume` goes on from there.

    Raises:
        InputError: weights or data that cannot be used, data of other classes, or a size out of reach.
        RunError: the loss is not a finite number.
        OSError: the disk is full or the folder is read-only.
        KeyboardInterrupt: Ctrl-C; the runs are kept.
    """
    observer, destination = observer or Printing(), Path(destination)
    check_folder(destination)
    original = _publish(find_weights(source), options)
    if options.data is None:
        stages = [_stage("original", _float32_bytes(original), None)]
        return _write(original, destination, stages, None)
    size = weight_bytes(original, options.target_bytes)
    judge = _Judge(original, open_data(options.data), options.workers, observer)
    stages = [_stage("original", _float32_bytes(original), judge(original, "original"))]
    folder = destination.with_name(destination.name + RUNS)
    run, sharing = partial(_train, original, options, observer, resume), max(1, round(SHARING_PART * options.epochs))
    pruned = run(source, folder / "pruned", max(1, options.epochs - sharing), options.seed, prune_to=size)
    size = _num_left(pruned) * (_PLACE_BITS + _FLOAT_BITS) // 8
    stages.append(_stage("pruned", size, judge(pruned, "pruned")))
    # Another seed: the run would else begin with the very images that the first began with.
    shared = run(folder / "pruned", folder / "shared", sharing, options.seed + 1, share_values=True)
    size = round(_num_left(shared) * (_PLACE_BITS + log2(SharedValues().fc)) / 8)
    stages.append(_stage("shared", size, judge(shared, "shared")))
    done = _write(shared, destination, stages, judge)
    rmtree(folder)
    return done


def _publish(weights: Weights, options: CompressOptions, original: Weights | None = None) -> Weights:
    """The weights as asked for, and else as the original, of which training keeps neither licence nor `reduce_to`."""
    kept = original or weights
    way = replace(weights.preprocessing, reduce_to=options.reduce_to or kept.preprocessing.reduce_to)
    return replace(weights, preprocessing=way, licence=options.licence or kept.licence)


def weight_bytes(weights: Weights, target_bytes: int) -> int:
    """What a file of `target_bytes` leaves for the weights.

    Raises:
        InputError: not a byte for every hundred of them.
    """
    others = sum(2 * tensor.size for key, tensor in weights.tensors.items() if not is_coded(key))
    image = weights.preprocessing.mean_image
    others += len(write_metadata(weights)) + (0 if image is None else len(pack_image(image)))
    others += sum(_HEADER_BYTES * (3 if is_coded(key) else 1) for key in weights.tensors)
    least = others + sum(tensor.size for key, tensor in weights.tensors.items() if is_coded(key)) // 100
    if target_bytes < least:
        raise InputError(f"{target_bytes:,} bytes are too few for {weights.spec.name}; give it {least:,} or more")
    return target_bytes - others


def code(weights: Weights, shared: SharedValues) -> dict[str, Coded | NDArray[np.float32]]:
    """The tensors as numbers in codebooks. Values that are not shared yet are made so, by k-means; biases stay."""
    coded: dict[str, Coded | NDArray[np.float32]] = {}
    for key, tensor in weights.tensors.items():
        if not is_coded(key):
            coded[key] = tensor
            continue
        left, most = tensor != 0, most_values(weights.spec, key, shared)
        values = tensor[left]
        centres = np.unique(values)
        centres = centres if len(centres) <= most else centres_of(values, most)
        codes = np.zeros(tensor.shape, np.uint8)
        codes[left] = 1 + nearest(values, centres)
        coded[key] = Coded(codes, np.concatenate([[0], centres]).astype(np.float16))
    return coded


class _Judged(NamedTuple):
    """Errors on the held-out images, and the share of them whose first class is the original's."""

    errors: Evaluation
    agreement: float


class _Judge:
    """Measures weights on the held-out images. The original's come first: others are compared with their answers.

    Raises:
        InputError: the data have not the classes of the weights.
    """

    def __init__(self, original: Weights, dataset: DataSet, workers: int, observer: Observer) -> None:
        known = find_classes(dataset.classes, original.classes)
        if known is None or len(known) != len(original.classes):
            raise InputError(f"{dataset.name} has not the classes of the weights; train on what they were trained on")
        self.dataset, self._workers, self._observer = dataset, workers, observer
        self._originals: list[str] = []

    def __call__(self, weights: Weights, name: str) -> _Judged | None:
        """What came out; None where nothing is held out."""
        if self.dataset.held_out is None:
            return None
        split, firsts = self.dataset.split(self.dataset.held_out), list[str]()
        with self._observer.progress(f"errors, {name}", len(split), "images") as advance:
            errors = evaluate(
                [load(weights)],
                split,
                self.dataset.classes,
                workers=self._workers,
                progress=advance,
                on_damaged=DamagedImages(len(split), self._observer.say),
                on_probabilities=lambda probs: firsts.extend(weights.classes[best].name for best in probs.argmax(1)),
            )
        self._originals = self._originals or firsts
        same = [one == other for one, other in zip(firsts, self._originals, strict=True)]
        return _Judged(errors, sum(same) / len(same))


def _stage(name: str, size: int, judged: _Judged | None) -> Stage:
    if judged is None:
        return Stage(name=name, bytes=size)
    top1_error, top5_error = judged.errors.top1_error, judged.errors.top5_error
    return Stage(name=name, bytes=size, top1_error=top1_error, top5_error=top5_error, agreement=judged.agreement)


def _train(
    original: Weights,
    options: CompressOptions,
    observer: Observer,
    resume: bool,
    source: str | Path,
    folder: Path,
    epochs: int,
    seed: int,
    *,
    prune_to: int | None = None,
    share_values: bool | None = None,
) -> Weights:
    """A run under a constraint, from the weights at `source`, which are the original's or come of them."""
    train(
        RunOptions(
            data=options.data or "",
            weights=str(source),
            epochs=epochs,
            batch_size=options.batch_size,
            seed=seed,
            precision=options.precision,
            limit_train_batches=options.limit_train_batches,
            prune_to=prune_to,
            share_values=share_values,
        ),
        observer,
        out=folder,
        resume=resume and (folder / RUN_FILE).exists(),
        device=options.device,
        workers=options.workers,
    )
    last = find_weights(folder / LAST)  # not the best of its epochs: those before the last were larger
    return _publish(last, options, original)


def _write(weights: Weights, destination: Path, stages: Sequence[Stage], judge: _Judge | None) -> Compressed:
    """Code the weights, measure the net that the codes stand for, and write it with its errors."""
    coded = code(weights, SharedValues())
    image = weights.preprocessing.mean_image
    if image is not None:
        image = unpack_image(pack_image(image), image.shape)
    tensors = {
        key: tensor.values if isinstance(tensor, Coded) else tensor.astype(np.float16).astype(np.float32)
        for key, tensor in coded.items()
    }
    child = replace(
        weights,
        tensors=tensors,
        preprocessing=replace(weights.preprocessing, mean_image=image),
        errors=(),
        probe=None,
    )
    child = replace(child, probe=make_probe(child, probe_logits(child)))
    split = judge.dataset.held_out if judge else None
    judged = judge(child, "coded") if judge else None
    if judge and judged:
        child = with_errors(child, [judged.errors.record(judge.dataset.name, split)])
    save_packed(destination, child, coded)
    return Compressed(
        kept=_num_left(child) / sum(tensor.size for key, tensor in tensors.items() if is_coded(key)),
        split=split,
        stages=(*stages, _stage("coded", destination.stat().st_size, judged)),
    )


def _num_left(weights: Weights) -> int:
    """Weights that are not zero."""
    return sum(int(np.count_nonzero(tensor)) for key, tensor in weights.tensors.items() if is_coded(key))


def _float32_bytes(weights: Weights) -> int:
    return sum(4 * tensor.size for tensor in weights.tensors.values())
