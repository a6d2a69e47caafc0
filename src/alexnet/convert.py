"""Weights from one kind of file to another, and whether the copy answers as the original does.

What a file of weights holds are parts: its tensors by key, and by name what travels with them (classes, preprocessing,
recipe, errors, probe, mean image).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import check_folder
from alexnet.data.collection import Collection
from alexnet.data.damaged import OnDamaged, refuse
from alexnet.data.ilsvrc import ClassOrder
from alexnet.data.loader import eval_batches
from alexnet.engines import CPU, choose_reference, is_installed, open_engine
from alexnet.errors import InputError, UnknownNameError
from alexnet.export.int8 import quantize
from alexnet.export.onnx import onnx_graph, save_graph
from alexnet.export.openvino import save_openvino_graph
from alexnet.interop.onnx import Graph
from alexnet.preprocess import extract_views
from alexnet.verify import probe_logits
from alexnet.weights import Weights, find_weights, probe_view, save_weights
from alexnet.weights.caffe_writer import save_caffe, written_files
from alexnet.weights.catalog import SUFFIXES, files_of, read_from
from alexnet.weights.class_order import in_class_order, knows_ilsvrc
from alexnet.weights.foreign import PTH
from alexnet.weights.huggingface import HUGGINGFACE, save_huggingface
from alexnet.weights.onnx import OnnxTensors
from alexnet.weights.openvino import OpenVINOTensors, openvino_files
from alexnet.weights.probe import all_tensors
from alexnet.weights.pth import save_pth
from alexnet.weights.stored import is_quantized

Crops = NDArray[np.uint8]

INT8 = "int8"
REDUCE_TO, CENTRAL_MEAN = "preprocessing.reduce_to", "preprocessing.mean_crop"  # center; Caffe's files mean view

# What writes the formats that hold no graph; whoever reads them builds the net anew.
WRITERS: Mapping[str, Callable[[Path, Weights], None]] = {
    "safetensors": save_weights,
    PTH: save_pth,
    HUGGINGFACE: save_huggingface,
    "caffe": save_caffe,
}
_GRAPH_WRITERS: Mapping[str, Callable[[Path, Graph], None]] = {"onnx": save_graph, "openvino": save_openvino_graph}
FORMATS = (*SUFFIXES, HUGGINGFACE)

# The files of formats that are written in several.
_WRITTEN: Mapping[str, Callable[[Path], Iterable[Path]]] = {"openvino": openvino_files, "caffe": written_files}

# Formats whose readers elsewhere take the classes of ILSVRC to be in this order, whatever the file says.
_EXPECTED_ORDER: Mapping[str, ClassOrder] = {PTH: "sorted", "caffe": "sorted"}

CALIBRATION_IMAGES = 256  # ours
_CALIBRATION_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of a file of weights. `mapped`, `dropped`: its parts that are in the new file, and that are not;
    `int8` is one: a quantized net's products of 8 bits, which as float32 are lost.

    class_order: what the classes were put into, if they were in another.
    `largest_difference`: between the logits of the two for the probe image, each run from its own file;
    `largest_logit`: of the old one, to judge that by.
    """

    format: str
    bytes: int
    mapped: tuple[str, ...]
    dropped: tuple[str, ...]
    class_order: ClassOrder | None
    largest_difference: float
    largest_logit: float


def convert(
    source: str | Path,
    destination: str | Path,
    to: str | None = None,
    *,
    uint8_input: bool = False,
    class_order: ClassOrder | None = None,
    calibration: Collection | None = None,
    progress: Callable[[int], object] | None = None,
    on_damaged: OnDamaged = refuse,
) -> Converted:
    """Write the weights at `source` to `destination`, whole or not at all, and run both on the probe image.

    to: one of `FORMATS`; what the suffix of `destination` says without it. uint8_input: the graph takes uint8
    RGB crops, with all preprocessing inside. class_order: `sorted` or `devkit`, into which classes are put; without it
    those of ILSVRC as the readers of the format elsewhere expect them, others as they are. calibration: images by which
    products of int8 are calibrated; the weights are then int8. `progress` is called with the number of images of each
    batch of these.

    Raises:
        InputError: a suffix that says nothing, no such folder, settings that the format has no room for, or weights
            to quantize that are quantized already.
        WeightsError: no weights at `source`, or damaged ones.
        MissingExtraError: no engine is installed that could run them.
        OSError: the folder is read-only, or the disk is full.
    """
    destination = Path(destination)
    form = to or _form_of(destination)
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if form in WRITERS and (uint8_input or calibration):
        raise InputError(f"{form} holds no graph; uint8 input and int8 are for .onnx and .xml")
    check_folder(destination)
    weights = find_weights(source)
    if read_from(source, weights) & {path.resolve() for path in _written(destination, form)}:
        raise InputError(f"{destination} is what {source} is read from; write elsewhere")
    if calibration and is_quantized(weights.tensors):
        raise InputError(f"{source} is int8 already; convert the float32 weights that it was made from")
    weights, moved_to = _in_order(weights, class_order, form)
    held, expected = (*_parts(weights), *weights.left_out), _logits(weights)
    if form in WRITERS:
        WRITERS[form](destination, weights)
    else:
        images = _crops(weights, calibration, progress, on_damaged) if calibration else None
        _GRAPH_WRITERS[form](destination, _graph(weights, form, images, uint8_input=uint8_input))
    written = find_weights(destination)
    kept = _parts(written)
    return Converted(
        format=form,
        bytes=sum(path.stat().st_size for path in files_of(destination)),
        mapped=tuple(part for part in held if part in kept),
        dropped=tuple(part for part in held if part not in kept),
        class_order=moved_to,
        largest_difference=float(np.abs(_logits(written) - expected).max()),
        largest_logit=float(np.abs(expected).max()),
    )


def _in_order(weights: Weights, asked: ClassOrder | None, form: str) -> tuple[Weights, ClassOrder | None]:
    """The weights with their classes in the order asked for, or else expected; and that order, if they had another."""
    order = asked or (_EXPECTED_ORDER.get(form) if knows_ilsvrc(weights) else None)
    found = in_class_order(weights, order) if order else weights
    return found, None if found is weights else order


def _written(path: Path, form: str) -> tuple[Path, ...]:
    """The files that weights of a format are written into."""
    several = _WRITTEN.get(form)
    return tuple(several(path)) if several else (path,)


def _form_of(path: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if path.suffix == suffix:
            return form
    raise InputError(f"{path}: its suffix says no format; end it in {', '.join(SUFFIXES.values())}, or say --to")


def _graph(weights: Weights, form: str, images: Iterator[Crops] | None, *, uint8_input: bool) -> Graph:
    """The net as a graph; with `images`, of products of int8 that are calibrated by them."""
    if images is None:
        return onnx_graph(weights, uint8_input=uint8_input)
    bare = replace(weights, probe=None, errors=())  # those are of the float32 net
    features = open_engine(choose_reference(), bare, CPU, "fp32").features
    own_lrn = form == "openvino"  # ONNX Runtime takes as long for its own as for all int8 products of net 145
    return quantize(bare, images, features, uint8_input=uint8_input, own_lrn=own_lrn)


def _logits(weights: Weights) -> NDArray[np.float32]:
    """The logits (K,) of the probe image: by the graph in their file where there is one, and an engine that runs it."""
    if isinstance(weights.tensors, OpenVINOTensors) and is_installed("openvino"):
        engine = open_engine("openvino", weights, CPU, "fp32")
    elif isinstance(weights.tensors, OnnxTensors) and is_installed("onnxruntime"):
        from alexnet.engines.onnxruntime import OnnxRuntimeEngine

        engine = OnnxRuntimeEngine(weights, as_stored=True)
    else:
        return probe_logits(weights)
    logits: NDArray[np.float32] = engine.logits(probe_view(weights.preprocessing))[0]
    return logits


def _parts(weights: Weights) -> tuple[str, ...]:
    """The tensors, and of what may travel with them, or may not, that which is there."""
    travelling = ("recipe", "errors", "probe")
    parts = (*all_tensors(weights), *(part for part in travelling if getattr(weights, part)))
    way = weights.preprocessing
    parts = (*parts, REDUCE_TO) if way.reduce_to else parts
    parts = (*parts, CENTRAL_MEAN) if way.mean_image is not None and not way.mean_moves else parts
    return (*parts, INT8) if is_quantized(weights.tensors) else parts


def _crops(
    weights: Weights, collection: Collection, progress: Callable[[int], object] | None, on_damaged: OnDamaged
) -> Iterator[Crops]:
    """Central views of images from all over a collection, uint8 (N, 3, crop, crop) batch by batch."""
    count = min(CALIBRATION_IMAGES, len(collection.images))
    batches = eval_batches(
        collection.images,
        batch_size=_CALIBRATION_BATCH,
        preprocessing=weights.preprocessing,
        indices=np.linspace(0, len(collection.images) - 1, count).astype(np.int64),
        on_damaged=on_damaged,
    )
    for canvases, _, _ in batches:
        if progress:
            progress(len(canvases))
        if len(canvases):
            yield extract_views(canvases, weights.preprocessing.crop, "center")[0]
