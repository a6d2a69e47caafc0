"""Ablations: functions from Spec to Spec, joined to a net's name with `+`, as in `krizhevsky-145+no-lrn`.

Each is the author's own where he ran one (the net's number in the 2012 release is given), and is refused for a net
that it says nothing about. Standard library only.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from alexnet.arch.rows import Conv, Dropout, Fc, Lrn, MaxPool, Relu, Row, SameMapNorm, Tanh
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError

Ablation = Callable[[Spec], Spec]


def _rows_of(spec: Spec, kinds: type[Row] | tuple[type[Row], ...], what: str) -> list[Row]:
    rows = [row for row in spec.rows if isinstance(row, kinds)]
    if not rows:
        raise SpecError(f"{spec.name} has no {what} to take away")
    return rows


def _two_towers(spec: Spec, what: str) -> None:
    """Refuse nets other than the grouped five-conv, three-fc net of 2012."""
    convs = [row for row in spec.rows if isinstance(row, Conv)]
    widths = [conv.out_channels for conv in convs]
    if widths != [96, 256, 384, 384, 256] or [conv.groups for conv in convs] != [1, 2, 1, 2, 2]:
        raise SpecError(f"{what} is defined for the two-tower nets (krizhevsky-145, paper-2012, ...), not {spec.name}")


def no_lrn(spec: Spec) -> Spec:
    """Net 148: no normalization of any kind (+1.4 / +1.15 points)."""
    return spec.without_rows({row.name for row in _rows_of(spec, (Lrn, SameMapNorm), "normalization")})


def no_overlap(spec: Spec) -> Spec:
    """Net 147: 2x2 pooling with stride 2; conv2 and conv5 lose padding so that sizes end at 6 (+0.4 / +0.3 points)."""
    _two_towers(spec, "no-overlap")
    overlapping = [row for row in spec.rows if isinstance(row, MaxPool) and row.kernel_size > row.stride]
    if not overlapping:
        raise SpecError(f"{spec.name} has no overlapping pooling to take away")
    pools: dict[str, Row] = {row.name: replace(row, kernel_size=2) for row in overlapping}
    convs: dict[str, Row] = {
        row.name: replace(row, padding=row.padding - 1)
        for row in spec.rows
        if isinstance(row, Conv) and row.name in ("conv2", "conv5")
    }
    return spec.with_rows(pools | convs)


def half(spec: Spec) -> Spec:
    """Net 145-half: one tower with 48/128/192/192 kernels, conv5 and the dense layers kept whole (+1.7 / +1.2)."""
    _two_towers(spec, "half")
    kept_whole = ("conv5",)
    return ungrouped(
        spec.with_rows(
            {
                row.name: replace(row, out_channels=row.out_channels // 2)
                for row in spec.rows
                if isinstance(row, Conv) and row.name not in kept_whole
            }
        )
    )


def ungrouped(spec: Spec) -> Spec:
    """Every kernel sees every map: the net as most re-implementations draw it."""
    if all(getattr(row, "groups", 1) == 1 for row in spec.rows):
        raise SpecError(f"{spec.name} has no groups to join")
    return spec.with_rows({row.name: replace(row, groups=1) for row in spec.rows if isinstance(row, Conv | Lrn | Fc)})


def no_talk(spec: Spec) -> Spec:
    """Net 150: the towers meet only at fc8; conv2 grows to 160 and fc6 to 4096 a tower (+1.2 / +1.1 points).

    Normalization windows end at the towers too, where a net (Caffe's) lets them cross.
    """
    _two_towers(spec, "no-talk")
    conv2, fc6 = spec["conv2"], spec["fc6"]
    wider = spec.with_rows(
        {
            "conv2": replace(conv2, out_channels=320),  # type: ignore[call-arg]
            "fc6": replace(fc6, out_features=8192),  # type: ignore[call-arg]
        }
    )
    split = ("conv3", "fc6", "fc7")
    return wider.with_rows(
        {row.name: replace(row, groups=2) for row in wider.rows if isinstance(row, Lrn) or row.name in split}  # type: ignore[call-arg]
    )


def tanh(spec: Spec) -> Spec:
    """Saturating units in place of every ReLU (figure 1)."""
    return spec.with_rows({row.name: Tanh(row.name, inputs=row.inputs) for row in _rows_of(spec, Relu, "ReLU")})


def no_dropout(spec: Spec) -> Spec:
    """No dropout (sec. 4.2: "substantial overfitting")."""
    return spec.without_rows({row.name for row in _rows_of(spec, Dropout, "dropout")})


def without_conv(spec: Spec, name: str) -> Spec:
    """One middle convolution fewer, with its ReLU (sec. 6.1: about 2 points each).

    Differs: the paper does not say how the rest was joined. Here the next conv takes over the removed one's groups, so
    that the towers still meet where they met.
    """
    if name not in spec or not isinstance(removed := spec[name], Conv):
        raise SpecError(f"{spec.name} has no {name} to take away")
    later = [row for row in spec.rows[spec.rows.index(removed) + 1 :] if isinstance(row, Conv)]
    heir: dict[str, Row] = {later[0].name: replace(later[0], groups=removed.groups)} if later else {}
    return spec.with_rows(heir).without_rows({name, name.replace("conv", "relu")} & {row.name for row in spec.rows})


ABLATIONS: dict[str, Ablation] = {
    "no-lrn": no_lrn,
    "no-overlap": no_overlap,
    "half": half,
    "ungrouped": ungrouped,
    "no-talk": no_talk,
    "tanh": tanh,
    "no-dropout": no_dropout,
    "without-conv3": partial(without_conv, name="conv3"),
    "without-conv4": partial(without_conv, name="conv4"),
    "without-conv5": partial(without_conv, name="conv5"),
}
