"""All of it in order: looked at, pruned, made to share values, coded, measured at each point, written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2
from pathlib import Path

import numpy as np

from alexnet.atomic import check_file
from alexnet.compress.coding import check_range, code, float32_bytes, num_left, weight_bytes
from alexnet.compress.measure import Judge, Stage, stage
from alexnet.compress.options import CompressOptions
from alexnet.compress.training import PRUNED, SHARED, Runs
from alexnet.data.datasets import open_data
from alexnet.errors import InputError
from alexnet.recipes import SharedValues
from alexnet.train.observer import Observer, Printing
from alexnet.train.saver import LAST
from alexnet.verify import probe_logits
from alexnet.weights import Weights, find_weights, make_probe
from alexnet.weights.catalog import SUFFIXES, read_from
from alexnet.weights.files import save_packed
from alexnet.weights.packed import Coded, is_coded, pack_image, unpack_image
from alexnet.weights.probe import with_errors

SHARING_PART = 0.3  # of the epochs
CODING = "values are shared and coded, and the net that they stand for is measured"

_PLACE_BITS, _FLOAT_BITS = 8, 32  # of a pruned weight before it is coded: the gap before it, and its value


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
    """Write the weights at `source` to `destination`, whole or not at all, in about `options.mib`.

    Two runs train on the data: in the first, weights are taken away; in the second, those that are left share values.
    Both are kept in a folder beside `destination` until the end, and `resume` goes on from there.

    Raises:
        InputError: weights, data or a destination that cannot be used, data of other classes, a size out of reach, or
            runs that are there already and not to be resumed, or not as they were begun.
        RunError: the loss is not a finite number.
        OSError: the disk is full or the folder is read-only.
        KeyboardInterrupt: Ctrl-C; the runs are kept.
    """
    observer, destination = observer or Printing(), Path(destination)
    _check_name(destination)
    weights = find_weights(source)
    if destination.resolve() in read_from(source, weights):
        raise InputError(f"{destination} is what {source} is read from; write elsewhere")
    check_range(weights)
    original = _publish(weights, options)
    if options.data is None:
        observer.say(CODING)
        return _write(original, destination, [stage("original", float32_bytes(original), None)], None)
    size = weight_bytes(original, options.target_bytes)
    dataset = open_data(options.data)
    judge = Judge(original, dataset, options.workers, observer)
    runs = Runs(destination=destination, options=options, dataset=dataset, observer=observer)
    runs.begin(options.settings(weights), resume=resume)
    try:
        done = _make_small(source, original, size, runs, judge)
    except KeyboardInterrupt:
        observer.say(f"{destination} is not made yet; what was done is kept, add --resume to the same command to go on")
        raise
    runs.remove()
    return done


def _check_name(destination: Path) -> None:
    check_file(destination)
    if destination.suffix != SUFFIXES["safetensors"]:
        raise InputError(f"{destination}: small weights are safetensors; end its name in {SUFFIXES['safetensors']}")


def _publish(weights: Weights, options: CompressOptions, original: Weights | None = None) -> Weights:
    """The weights as asked for, and else as the original, of which training keeps neither licence nor `reduce_to`."""
    kept = original or weights
    way = replace(weights.preprocessing, reduce_to=options.reduce_to or kept.preprocessing.reduce_to)
    return replace(weights, preprocessing=way, licence=options.licence or kept.licence)


def _make_small(source: str | Path, original: Weights, size: int, runs: Runs, judge: Judge) -> Compressed:
    """Both runs, of which the first comes to weights of `size` bytes, and the file."""
    options = runs.options
    stages = [stage("original", float32_bytes(original), judge(original, "original"))]
    sharing = max(1, round(SHARING_PART * options.epochs))
    pruning = max(1, options.epochs - sharing)
    trained = runs.train(PRUNED, source, epochs=pruning, lr=options.lr, seed=options.seed, prune_to=size)
    pruned = _publish(trained, options, original)
    size = num_left(pruned) * (_PLACE_BITS + _FLOAT_BITS) // 8
    stages.append(stage("pruned", size, judge(pruned, "pruned")))
    # Another seed: the run would else begin with the very images that the first began with.
    source, seed = runs.folder / PRUNED / LAST, options.seed + 1
    trained = runs.train(SHARED, source, epochs=sharing, lr=options.sharing_lr, seed=seed, share_values=True)
    shared = _publish(trained, options, original)
    size = round(num_left(shared) * (_PLACE_BITS + log2(SharedValues().fc)) / 8)
    stages.append(stage("shared", size, judge(shared, "shared")))
    runs.observer.say(CODING)
    return _write(shared, runs.destination, stages, judge)


def _write(weights: Weights, destination: Path, stages: Sequence[Stage], judge: Judge | None) -> Compressed:
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
        kept=num_left(child) / sum(tensor.size for key, tensor in tensors.items() if is_coded(key)),
        split=split,
        stages=(*stages, stage("coded", destination.stat().st_size, judged)),
    )
