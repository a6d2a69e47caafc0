"""What each type of layer is here: a row, or a few. The constants of norms stand in the parameter file."""

from collections.abc import Callable

from alexnet.arch.rows import (
    AvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Dropout,
    Logistic,
    Lrn,
    MaxPool,
    Mirror,
    RandomPool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
    Subsample,
    Sum,
)
from alexnet.arch.shapes import output_of
from alexnet.interop.cuda_convnet.config import Section
from alexnet.interop.cuda_convnet.draft import Draft
from alexnet.interop.cuda_convnet.weighted import conv, fc, tree_fc


def _one(build: Callable[[Draft, Section, str, str], Row]) -> Callable[[Draft, Section], str]:
    """A layer that is one row of one input."""

    def add(draft: Draft, section: Section) -> str:
        inputs = draft.inputs_of(section)
        if len(inputs) != 1:
            section.refuse(f"has {len(inputs)} inputs, and takes one", "inputs")
        return draft.put(section, build(draft, section, draft.row_name(section), inputs[0]))

    return add


def _check_channels(draft: Draft, section: Section, read: str) -> None:
    draft.check_channels(section, section.text("inputs"), read, section.whole("channels", least=1))


def _pool(draft: Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    kinds = {"max": MaxPool, "avg": AvgPool, "rand": RandomPool}
    way, size, stride = section.text("pool").strip(), section.whole("sizeX", least=1), section.whole("stride", least=1)
    if way not in kinds:
        section.refuse(f"{way!r} is none of {', '.join(kinds)}", "pool")
    if not stride <= size <= draft.shapes[read][1]:
        section.refuse(f"windows of {size}, {stride} apart, do not cover {draft.shapes[read][1]} pixels", "sizeX")
    if section.whole("start", 0):
        section.refuse("windows that begin elsewhere are in no released file, and are not read", "start")
    kind = kinds[way]
    if kind is RandomPool and (constants := draft.parameters.get(section.name)) and constants.flag("doMax", False):
        kind = MaxPool
    row = kind(name, size, stride, inputs=(read,))
    wanted, gives = section.whole("outputsX", 0), output_of(draft.name, row, [draft.shapes[read]])[1]
    if wanted not in (0, gives):
        section.refuse(f"{wanted}, where windows that cover the image are {gives}", "outputsX")
    return row


def _cross_map_norm(draft: Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    if section.flag("blocked", False):
        section.refuse("windows that do not overlap are in no released file, and are not read", "blocked")
    scale, power, least = NORM_145
    if constants := draft.constants(section):
        scale, power, least = (constants.real(*said) for said in (("scale",), ("pow",), ("minDiv", 1.0)))
    size = section.whole("size", least=2)
    return Lrn(name, inputs=(read,), size=size, alpha=scale, beta=power, k=least)


NORM_145 = (1e-4, 0.75, 2.0)  # scale, pow, minDiv: what a definition without its parameters is taken to mean
SAME_MAP_145 = (1e-3, 0.75)


def _map_norm(kind: type[SameMapNorm] | type[ContrastNorm]) -> Callable[[Draft, Section, str, str], Row]:
    def build(draft: Draft, section: Section, name: str, read: str) -> Row:
        _check_channels(draft, section, read)
        scale, power = SAME_MAP_145
        if constants := draft.constants(section):
            scale, power = constants.real("scale"), constants.real("pow")
        size = section.whole("size" if "size" in section else "sizeX", least=1)
        return kind(name, inputs=(read,), size=size, alpha=scale, beta=power)

    return build


def _dropout(draft: Draft, section: Section, name: str, read: str) -> Row:
    keep = section.real("keep")
    if not 0 < keep <= 1:
        section.refuse(f"{keep:g} is no share of units, above 0 and up to 1", "keep")
    parameters = draft.parameters_of(section)
    if parameters and not parameters.flag("enable"):
        return Sum(name, inputs=(read,), coefficients=(keep,))
    return Dropout(name, 1 - keep, inputs=(read,))


def _neuron(draft: Draft, section: Section, name: str, read: str) -> Row:  # noqa: ARG001
    neuron = section.text("neuron").strip()
    if neuron not in NEURONS:
        section.refuse(f"{neuron!r} is in no released file; known: {', '.join(NEURONS)}", "neuron")
    return NEURONS[neuron](name, inputs=(read,))


def _blur(draft: Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    size, std = section.whole("filterSize"), section.real("stdev")
    if size not in (3, 5, 7, 9):
        section.refuse(f"{size} is none of 3, 5, 7, 9", "filterSize")
    if std <= 0:
        section.refuse(f"{std:g} must be above 0", "stdev")
    return Blur(name, size, std, inputs=(read,))


def _subsample(draft: Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    return Subsample(name, section.whole("stride", least=1), inputs=(read,))


def _mirror(draft: Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    return Mirror(name, inputs=(read,))


def _sum(draft: Draft, section: Section) -> str:
    inputs = draft.inputs_of(section)
    coefficients = section.reals("coeffs", len(inputs), 1.0)
    weights = () if set(coefficients) == {1.0} else coefficients
    return draft.put(section, Sum(draft.row_name(section), inputs=inputs, coefficients=weights))


def _concat(draft: Draft, section: Section) -> str:
    return draft.put(section, Concat(draft.row_name(section), inputs=draft.inputs_of(section)))


NEURONS: dict[str, type[Row]] = {"relu": Relu, "logistic": Logistic}

LAYERS: dict[str, Callable[[Draft, Section], str]] = {
    "conv": conv,
    "local": conv,
    "fc": fc,
    "treefc": tree_fc,
    "pool": _one(_pool),
    "cmrnorm": _one(_cross_map_norm),
    "rnorm": _one(_map_norm(SameMapNorm)),
    "cnorm": _one(_map_norm(ContrastNorm)),
    "hs": _one(_dropout),
    "softmax": _one(lambda _draft, _section, name, read: Softmax(name, inputs=(read,))),
    "neuron": _one(_neuron),
    "eltsum": _sum,
    "concat": _concat,
    "blur": _one(_blur),
    "nailbed": _one(_subsample),
    "href": _one(_mirror),
}
