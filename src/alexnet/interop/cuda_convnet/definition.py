"""A net's definition file becomes a Spec: layers in order, each one or a few rows.

The files do not say how large images are. What `initWFunc` and its like would have run is only named.

Source: 2012 release, layer.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from alexnet.arch.rows import Logistic, Softmax
from alexnet.arch.spec import IMAGE, MOST_ROWS, Spec
from alexnet.errors import InputError, SpecError
from alexnet.interop.cuda_convnet.config import Section
from alexnet.interop.cuda_convnet.draft import Bank, Borrowed, Draft
from alexnet.interop.cuda_convnet.layers import LAYERS, NEURONS
from alexnet.recipes.recipe import LossName

LARGE_INPUT, SMALL_INPUT = 224, 32  # ImageNet's crops, and CIFAR-10's images
LABELS_INDEX = 1  # of the data layer that gives them
NEVER_USED = {"resize", "rscale", "rgb2yuv", "rgb2lab", "eltmax"}
NEVER_USED |= {"cost.crossent", "cost.gsum2", "cost.msm", "cost.tica"}
LOSSES: Mapping[str, LossName] = {
    "cost.logreg": "logreg",
    "cost.crossent2": "crossent2",
    "cost.rflickr": "rflickr",
    "cost.sum2": "sum2",
}


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A net as it was written. banks: of every row with weights, by the row's name, in the order of its inputs.

    sections: the layers as they stand in the file. cost, loss: the cost layer's name and kind.
    borrowed: what begins as in another net. trees: layers of type treefc, whose weights are sums along a tree of the
    classes that `batches.meta` has; at test they are fc rows.
    """

    spec: Spec
    banks: Mapping[str, tuple[Bank, ...]]
    sections: Mapping[str, Section]
    cost: str
    loss: LossName
    borrowed: tuple[Borrowed, ...]
    trees: tuple[str, ...]


def define(
    layers: Mapping[str, Section],
    parameters: Mapping[str, Section],
    *,
    name: str,
    source: str,
    input_size: int | None = None,
    connections: Mapping[tuple[str, int], tuple[int, ...]] | None = None,
) -> Definition:
    """The net of a definition file's sections; `parameters` are those of its parameter file, or none.

    input_size: side of its images; by default 224 where the first convolution has a stride, else 32. connections: the
    channels that the groups of a layer read of its input with this number, one group after the other, where groups are
    sparse; by default drawn from the layer's name, so that a file always gives the same net.

    Raises:
        InputError: a layer that cannot be, or that no released file has; names file, line, layer and key.
    """
    if len(layers) > MOST_ROWS:
        raise InputError(f"{_file_of(layers)} has {len(layers):,} layers; a net may have {MOST_ROWS}")
    side = input_size or _guess_input_size(layers)
    draft = Draft(name, (3, side, side), parameters, connections or {})
    for section in layers.values():
        _add(draft, section)
    return _finish(draft, source, layers)


def _guess_input_size(layers: Mapping[str, Section]) -> int:
    strides = [section.items("stride") for section in layers.values() if section.text("type", "") == "conv"]
    return LARGE_INPUT if strides and set(strides[0]) - {"1"} else SMALL_INPUT


def _add(draft: Draft, section: Section) -> None:
    kind = section.text("type").strip()
    if kind == "data":
        _add_data(draft, section)
    elif kind in LOSSES:
        _add_cost(draft, section)
    elif kind in LAYERS:
        _add_layer(draft, section, kind)
    elif kind in NEVER_USED:
        section.refuse(f"layers of type {kind} are in no released file, and are not read", "type")
    else:
        section.refuse(f"unknown type {kind!r}; known: {', '.join(['data', *LAYERS, *LOSSES])}", "type")


def _add_data(draft: Draft, section: Section) -> None:
    index = section.whole("dataIdx", least=0)
    if index > LABELS_INDEX:
        section.refuse("there are images (0) and labels (1) alone", "dataIdx")
    draft.outputs[section.name] = IMAGE if index != LABELS_INDEX else section.name
    if index == LABELS_INDEX:
        draft.labels.add(section.name)
    draft.shapes[IMAGE] = draft.input


def _add_layer(draft: Draft, section: Section, kind: str) -> None:
    if set(section.items("inputs")) & draft.labels:
        _add_difference(draft, section, kind)
        return
    draft.outputs[section.name] = _with_neuron(draft, section, LAYERS[kind](draft, section))


def _add_difference(draft: Draft, section: Section, kind: str) -> None:
    """Answers less labels, or the other way round, which cost.sum2 squares: it stands for the answers."""
    names = section.items("inputs")
    answers = [draft.outputs[name] for name in names if name in draft.outputs and name not in draft.labels]
    if kind != "eltsum" or len(names) != 2 or len(answers) != 1:
        section.refuse("reads labels, as costs do, and the difference of labels and answers (eltsum)", "inputs")
    if sorted(section.reals("coeffs", 2, 1.0)) != [-1.0, 1.0]:
        section.refuse("of labels and answers only the difference is read: 1 and -1", "coeffs")
    draft.labels.add(section.name)
    draft.outputs[section.name] = answers[0]


def _with_neuron(draft: Draft, section: Section, read: str) -> str:
    neuron = section.text("neuron", "ident").strip()
    if neuron in ("", "ident") or section.text("type") == "neuron":
        return read
    if neuron not in NEURONS:
        section.refuse(f"{neuron!r} is in no released file; known: ident, {', '.join(NEURONS)}", "neuron")
    return draft.put(section, NEURONS[neuron](draft.row_name(section, "_neuron"), inputs=(read,)))


def _add_cost(draft: Draft, section: Section) -> None:
    if draft.cost is not None:
        section.refuse(f"a second cost, beside {draft.cost.name}; one is read")
    draft.cost = section
    draft.labels.add(section.name)


def _finish(draft: Draft, source: str, sections: Mapping[str, Section]) -> Definition:
    """The whole; what the cost judges comes last."""
    if draft.cost is None:
        raise InputError(f"{_file_of(sections)} is no definition of a net: it has no cost layer ({', '.join(LOSSES)})")
    read = [draft.outputs.get(name, "") for name in draft.cost.items("inputs")]
    judged = [name for name in read if name in draft.shapes and name != IMAGE]
    if len(judged) != 1:
        draft.cost.refuse("needs labels and the layer whose answers are judged", "inputs")
    _refuse_unread(draft.cost, sections)
    rows = [row for row in draft.rows if row.name != judged[0]]
    last = next(row for row in draft.rows if row.name == judged[0])
    loss = LOSSES[draft.cost.text("type").strip()]
    if not isinstance(last, wanted := Softmax if loss == "logreg" else Logistic):
        draft.cost.refuse(f"judges a {wanted.kind} here, and {last.name} is a {last.kind}", "inputs")
    try:
        spec = Spec(name=draft.name, source=source, input=draft.input, rows=(*rows, last))
    except SpecError as error:
        raise InputError(f"{_file_of(sections)}: {error}") from None
    return Definition(
        spec=spec,
        banks=draft.banks,
        sections=sections,
        cost=draft.cost.name,
        loss=loss,
        borrowed=tuple(draft.borrowed),
        trees=tuple(draft.trees),
    )


def _refuse_unread(cost: Section, sections: Mapping[str, Section]) -> None:
    """As in 2012: a layer that no other reads is a mistake, unless it is the cost."""
    read = {name for section in sections.values() for name in section.items("inputs")}
    for section in sections.values():
        if section.name not in read and section is not cost:
            section.refuse("is read by no layer")


def _file_of(sections: Mapping[str, Section]) -> str:
    return next((section.file for section in sections.values()), "the file")
