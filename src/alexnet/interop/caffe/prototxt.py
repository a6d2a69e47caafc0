"""A .prototxt file becomes a Spec: layers in order, each one a row or none.

What is read is the net in its test phase, or in its training phase where only that has data. Layers that judge (losses,
accuracy) end it; what does not lead to its logits is left out. How fast each layer learns (lr_mult) is no matter of the
net, and is not read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.arch import NETS
from alexnet.arch.rows import Fc, Logistic, Row, Softmax, Weighted
from alexnet.arch.spec import Spec
from alexnet.arch.towers import chained, renamed_as
from alexnet.errors import InputError, SpecError
from alexnet.interop.caffe.draft import Draft
from alexnet.interop.caffe.images import DATA_LAYERS, Images, images_of_inputs, images_of_layer
from alexnet.interop.caffe.layers import TEST, TRAIN, Layer, NetText, parse_layers, read_layers
from alexnet.interop.caffe.norms import joined_norms
from alexnet.interop.caffe.rows import ROWS

SUFFIX = ".prototxt"

_PROBABILITIES = "prob"  # what Caffe's own nets call them

# What turns logits into probabilities, as a layer or within a loss.
_ENDS: Mapping[str, type[Row]] = {
    "Softmax": Softmax,
    "SoftmaxWithLoss": Softmax,
    "SigmoidCrossEntropyLoss": Logistic,
}
_IGNORED = ("Accuracy", "MultinomialLogisticLoss", "Silence")  # they judge probabilities, or swallow what nobody reads


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A net as it was written. `layers`: by layer with weights, the row that it is. `images`: what it is fed."""

    spec: Spec
    layers: Mapping[str, str]
    images: Images


def read_prototxt(path: Path) -> Definition:
    """The net of a .prototxt file; where it is one of ours in all but names, by our names.

    Raises:
        InputError: no definition of a net, or a layer that cannot be or has no counterpart here; names file, layer and
            key.
        MissingExtraError: the protobuf library is not installed.
        OSError: the file cannot be read.
    """
    return _define(read_layers(path), path.stem, f"Caffe, {path.name}", str(path))


def parse_prototxt(text: str, *, file: str) -> Definition:
    """The net of a text; `file` is what errors call it.

    Raises:
        InputError, MissingExtraError: as `read_prototxt`.
    """
    return _define(parse_layers(text, file), Path(file).stem, f"Caffe, {Path(file).name}", file)


def _define(net: NetText, name: str, source: str, file: str) -> Definition:
    phase = TEST if net.inputs or any(layer.kind in DATA_LAYERS for layer in net.layers[TEST]) else TRAIN
    draft = Draft(net.name or name)
    if net.inputs:
        draft.feed(net.inputs.blobs, images_of_inputs(net.inputs))
    for layer in net.layers[phase]:
        _add(draft, layer)
    return _as_known(_finished(draft, source, file))


def _add(draft: Draft, layer: Layer) -> None:
    if layer.kind in DATA_LAYERS:
        _add_data(draft, layer)
    elif layer.kind in _ENDS:
        _add_end(draft, layer)
    elif layer.kind in ROWS:
        ROWS[layer.kind](draft, layer)
    elif layer.kind not in _IGNORED:
        known = ", ".join([*DATA_LAYERS, *ROWS, *_ENDS, *_IGNORED])
        layer.refuse(f"layers of type {layer.kind!r} are not read; known: {known}", "type")


def _add_data(draft: Draft, layer: Layer) -> None:
    """Images, and with them labels; a second Input can be labels only."""
    if not layer.tops:
        layer.refuse("gives nothing", "top")
    if draft.images is None:
        draft.feed(layer.tops, images_of_layer(layer))
    elif layer.kind == "Input":
        draft.labels |= set(layer.tops)
    else:
        layer.refuse("a second source of images; one is read")


def _add_end(draft: Draft, layer: Layer) -> None:
    kind = _ENDS[layer.kind]
    logits = [draft.blobs[blob] for blob in layer.bottoms if blob not in draft.labels and blob in draft.blobs]
    layer.settings("softmax_param").expect("axis", 1, "classes lie along axis 1 here")
    if len(logits) != 1 or not set(layer.bottoms) <= draft.labels | draft.blobs.keys():
        layer.refuse("needs logits, and labels if it is a loss", "bottom")
    if draft.end and (type(draft.end), draft.end.inputs) != (kind, (logits[0],)):
        layer.refuse(f"a second end, beside {draft.end.name}; nets with one are read")
    if draft.end is None:
        name = layer.name if layer.kind == "Softmax" else _PROBABILITIES
        draft.end = kind(draft.row_name(name), inputs=(logits[0],))


def _finished(draft: Draft, source: str, file: str) -> Definition:
    """The whole, cut to what leads to its logits."""
    if draft.images is None:
        raise InputError(f"{file} does not say what images the net takes (an input, or a data layer)")
    rows = joined_norms([*draft.rows, *([draft.end] if draft.end else [])], draft.shapes)
    if rows and not draft.end and not isinstance(rows[-1], Logistic):
        rows.append(Softmax(draft.row_name(_PROBABILITIES), inputs=(rows[-1].name,)))
    try:
        spec = Spec(name=draft.net, source=source, input=draft.images.shape, rows=chained(_needed(rows)))
    except SpecError as error:
        raise InputError(f"{file}: {error}") from None
    layers = {layer: row for layer, row in draft.layers.items() if row in spec}
    return Definition(spec=spec, layers=layers, images=draft.images)


def _needed(rows: list[Row]) -> list[Row]:
    """The rows that lead to the last one."""
    needed = {row.name for row in rows[-1:]}
    for row in reversed(rows):
        if row.name in needed:
            needed |= set(row.inputs)
    return [row for row in rows if row.name in needed]


def _as_known(written: Definition) -> Definition:
    """By our names, and with what is known of it, if it is a net of ours. Files without initial values may be any's."""
    is_untold = all(row.weight_std is None for row in written.spec.rows if isinstance(row, Weighted))
    for known in NETS.values():
        ours = known.with_classes(written.spec.num_classes) if isinstance(known.classifier, Fc) else known
        names = renamed_as(written.spec, _without_initial(ours) if is_untold else ours)
        if names:
            return replace(written, spec=ours, layers={layer: names[row] for layer, row in written.layers.items()})
    return written


def _without_initial(spec: Spec) -> Spec:
    rows = (replace(row, weight_std=None, bias_init=None) if isinstance(row, Weighted) else row for row in spec.rows)
    return replace(spec, rows=tuple(rows))
