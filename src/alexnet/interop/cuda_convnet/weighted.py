"""Layers with weights. One of several inputs has a bank of weights for each: they are stacked where they differ in
nothing and no filter is limited, or else computed apart and added up.
"""

import random

from alexnet.arch.rows import Conv, Fc, Local, Row, Select, Sum
from alexnet.arch.shapes import Shape
from alexnet.interop.cuda_convnet.config import Section
from alexnet.interop.cuda_convnet.draft import Bank, Borrowed, Draft

NUM_CLASSES = 1000  # of a treefc, which has as many outputs as `batches.meta` has classes
MOST_CONNECTIONS = 1 << 16  # ours, of a layer's sparse groups: those of the released nets read under a thousand


def conv(draft: Draft, section: Section) -> str:
    """A layer of type `conv` or `local`; the row that stands for it, as of all that follow."""
    return _banks(draft, section, _filters(draft, section))


def fc(draft: Draft, section: Section) -> str:
    """A layer of type `fc`."""
    inputs = draft.inputs_of(section)
    stds = section.reals("initW", len(inputs))
    outputs, bias = section.whole("outputs", least=1), section.real("initB", 0.0)
    filters: list[_Filter] = [
        (Fc, {"out_features": outputs, "weight_std": std, "bias_init": bias}, None) for std in stds
    ]
    return _banks(draft, section, filters)


def tree_fc(draft: Draft, section: Section) -> str:
    """A layer of type `treefc`: at test an fc row, which is noted as a tree."""
    if len(draft.inputs_of(section)) > 1:
        section.refuse("treefc reads one input", "inputs")
    draft.trees.append(section.name)
    settings: dict[str, object] = {
        "out_features": section.whole("outputs", NUM_CLASSES, least=1),
        "weight_std": section.real("initW"),
        "bias_init": section.real("initB", 0.0),
    }
    return _banks(draft, section, [(Fc, settings, None)])


_Filter = tuple[type[Row], dict[str, object], "tuple[int, ...] | None"]


def _filters(draft: Draft, section: Section) -> list[_Filter]:
    """For each input the kind of row, its settings, and the channels that sparse groups read."""
    inputs = draft.inputs_of(section)
    count, kind = len(inputs), Local if section.text("type") == "local" else Conv
    channels, filters, sizes = (section.wholes(key, count, least=1) for key in ("channels", "filters", "filterSize"))
    groups, strides = (section.wholes(key, count, 1, least=1) for key in ("groups", "stride"))
    paddings = section.wholes("padding", count, 0, least=0)
    per_group = section.wholes("filterChannels", count, 0, least=0)
    stds, sparse = section.reals("initW", count), section.flags("randSparse", count)
    if kind is Conv and not section.flag("sharedBiases", True):
        section.refuse(
            "biases of their own at every position are in no released file, and are not read", "sharedBiases"
        )
    found: list[_Filter] = []
    for i, read in enumerate(inputs):
        draft.check_channels(section, section.items("inputs")[i], read, channels[i])
        settings: dict[str, object] = {
            "out_channels": filters[i] * groups[i],
            "kernel_size": sizes[i],
            "stride": strides[i],
            "padding": paddings[i],
            "rounding": "ceil" if strides[i] > 1 else "floor",  # one and the same without a stride
            "weight_std": stds[i],
            "bias_init": section.real("initB", 0.0),
        }
        if kind is Conv:
            settings["groups"] = groups[i]
        elif groups[i] > 1:
            section.refuse("groups of unshared filters are in no released file, and are not read", "groups")
        connections = None
        if sparse[i]:
            drawn = _connections(section, channels[i], groups[i], per_group[i], i)
            connections = draft.connections.get((section.name, i), drawn)
        found.append((kind, settings, connections))
    if len({settings["out_channels"] for _, settings, _ in found}) > 1:
        section.refuse("as many filters times groups are needed for every input", "filters")
    return found


def _connections(section: Section, channels: int, groups: int, per_group: int, index: int) -> tuple[int, ...]:
    """Which channels each group reads: whole random orders of all of them, one after another, cut into groups."""
    per_group = per_group or max(1, channels // groups)
    if per_group * groups > MOST_CONNECTIONS:
        section.refuse(f"{groups} groups of {per_group} are more than {MOST_CONNECTIONS:,} channels to read", "groups")
    if per_group * groups % channels or channels % per_group:
        section.refuse(
            f"{groups} groups of {per_group} do not use each of {channels} channels equally", "filterChannels"
        )
    draw = random.Random(f"{section.name} {index}")
    orders = [draw.sample(range(channels), channels) for _ in range(per_group * groups // channels)]
    return tuple(channel for order in orders for channel in order)


def _banks(draft: Draft, section: Section, filters: list[_Filter]) -> str:
    """The rows of a layer with a bank of weights for each input."""
    _note_borrowed(draft, section)
    if len(filters) == 1 or _can_be_stacked(draft, section, filters):
        return _stacked(draft, section, filters[0])
    return _apart(draft, section, filters)


def _can_be_stacked(draft: Draft, section: Section, filters: list[_Filter]) -> bool:
    """Whether one row that reads all inputs is the same: banks that differ in nothing, nor in how they are trained.

    Limits are of the filters of one bank: the norm of two laid together is another.
    """
    inputs = draft.inputs_of(section)
    settings = {(kind, tuple(sorted(map(str, said.items())))) for kind, said, _ in filters}
    return (
        len(settings) == len({draft.shapes[read][1:] for read in inputs}) == 1
        and len(set(_own_parameters(draft, section, len(inputs)))) == 1
        and not _is_limited(draft, section, len(inputs))
        and not any(connections or said.get("groups", 1) != 1 for _, said, connections in filters)
    )


def _stacked(draft: Draft, section: Section, one: _Filter) -> str:
    inputs, name, (kind, settings, connections) = draft.inputs_of(section), draft.row_name(section), one
    sizes = [_size(kind, draft.shapes[read]) for read in inputs]
    if connections:
        inputs = (draft.put(section, Select(draft.row_name(section, "_select"), connections, inputs=inputs)),)
    draft.banks[name] = tuple(Bank(section.name, place, size) for place, size in enumerate(sizes))
    return draft.put(section, kind(name, inputs=inputs, **settings))


def _apart(draft: Draft, section: Section, filters: list[_Filter]) -> str:
    """A row for each input, the first with the biases, and their sum, which has the layer's name."""
    name, parts = draft.row_name(section), []
    for place, (read, (kind, settings, connections)) in enumerate(zip(draft.inputs_of(section), filters, strict=True)):
        bank, suffix = Bank(section.name, place, _size(kind, draft.shapes[read])), f"_of_{read}"
        if connections:
            read = draft.put(section, Select(draft.row_name(section, f"{suffix}_select"), connections, inputs=(read,)))
        row = kind(draft.row_name(section, suffix), inputs=(read,), **settings | {"has_bias": place == 0})
        draft.banks[row.name] = (bank,)
        parts.append(draft.put(section, row))
    return draft.put(section, Sum(name, inputs=tuple(parts)))


def _size(kind: type[Row], shape: Shape) -> int:
    channels, height, width = shape
    return channels if kind is not Fc else channels * height * width


def _own_parameters(draft: Draft, section: Section, count: int) -> list[tuple[str, ...]]:
    """What the parameter file says of each input's weights, as it stands there."""
    found = draft.parameters.get(section.name)
    if found is None:
        return [()] * count
    columns = [items for key in PER_INPUT if len(items := found.items(key.lower())) == count]
    return [tuple(column[i] for column in columns) for i in range(count)]


def _is_limited(draft: Draft, section: Section, count: int) -> bool:
    """Whether the parameter file limits the filters of the layer."""
    found = draft.parameters.get(section.name)
    return found is not None and any(any(found.reals(key, count, 0.0)) for key in LIMITS)


LIMITS = ("wball", "wcNormMin", "wcNormMax")
PER_INPUT = ("epsW", "momW", "wc", *LIMITS)  # lists in the parameter file


def _note_borrowed(draft: Draft, section: Section) -> None:
    if "weightSource" in section and any(section.items("weightsource")):
        section.refuse("shared weights are in no released file, and are not read", "weightSource")
    for key in ("initWFunc", "initBFunc", "initCFunc"):
        if function := section.text(key, "").strip():
            draft.borrowed.append(Borrowed(section.name, function))
