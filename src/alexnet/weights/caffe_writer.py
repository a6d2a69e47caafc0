"""Weights as Caffe's files: NAME.caffemodel with its definition, mean image and names of classes beside it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from alexnet.atomic import write_whole
from alexnet.data.splits import ClassInfo
from alexnet.errors import InputError
from alexnet.interop.caffe import mean, model, prototxt
from alexnet.interop.caffe.deploy import caffe_layers, write_prototxt
from alexnet.interop.caffe.model_writer import TrainedLayer, write_caffemodel
from alexnet.weights.caffe import NAMES, CaffeFiles
from alexnet.weights.caffe_form import caffe_form
from alexnet.weights.check import check_tensors, tensor_shapes
from alexnet.weights.files import Weights


def written_files(path: Path) -> CaffeFiles:
    """The files that `save_caffe` may write."""
    return CaffeFiles(path, *(path.with_suffix(suffix) for suffix in (prototxt.SUFFIX, mean.SUFFIX, NAMES)))


def save_caffe(path: Path, weights: Weights, *, v1: bool = False) -> None:
    """Write `weights` as `path`, which ends in .caffemodel, and beside it their net, mean image and names of classes.

    Each file is written whole or not at all, and none if one cannot be. v1: in layers as of before 2014, which all
    versions of Caffe read; the definition is in the present syntax.

    Raises:
        InputError: a name that does not end so, a row that Caffe cannot compute, or a mean image in the place of the
            one that these weights have not.
        WeightsError: the tensors are not those of the net, or not finite.
        MissingExtraError: the protobuf library is not installed.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    if path.suffix != model.SUFFIX:
        raise InputError(f"{path}: a net of Caffe is NAME{model.SUFFIX}, with NAME{prototxt.SUFFIX} beside it")
    form, files = caffe_form(weights), written_files(path)
    assert files.definition
    assert files.mean
    assert files.names
    image = form.preprocessing.mean_image
    if image is None and files.mean.exists():
        raise InputError(f"{files.mean} would be taken for the mean image of {path}, which has none; move it away")
    check_tensors(form.spec, form.tensors)
    text = write_prototxt(form.spec, form.preprocessing, mean_file=files.mean.name)
    with ExitStack() as stack:  # what is entered first is moved last: the trained net, after all that belongs to it
        trained = stack.enter_context(write_whole(files.trained))
        stack.enter_context(write_whole(files.definition)).write_text(text, encoding="utf-8")
        stack.enter_context(write_whole(files.names)).write_text(_names(weights.classes), encoding="utf-8")
        if image is not None:
            content = mean.write_mean_image(image / form.preprocessing.scale)
            stack.enter_context(write_whole(files.mean)).write_bytes(content)
        with trained.open("wb") as file:
            file.writelines(write_caffemodel(form.spec.name, _trained_layers(form), form.tensors, v1=v1))


def _names(classes: Sequence[ClassInfo]) -> str:
    lines = (f"{info.wnid} {info.name}" if info.wnid else info.name for info in classes)
    return "".join(f"{' '.join(line.split())}\n" for line in lines)


def _trained_layers(weights: Weights) -> Iterator[TrainedLayer]:
    keys = tensor_shapes(weights.spec)
    for layer in caffe_layers(weights.spec):
        blobs = [key for part in ("weight", "bias") if (key := f"{layer.name}.{part}") in keys]
        yield TrainedLayer(layer.name, layer.type, layer.bottoms, layer.tops, blobs)
