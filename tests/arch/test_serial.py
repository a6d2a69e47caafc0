import json
from copy import deepcopy

import pytest

from alexnet.arch import ABLATIONS, NETS, find
from alexnet.arch.rows import (
    ROW_TYPES,
    AdaptiveAvgPool,
    AvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Conv,
    Fc,
    Local,
    Logistic,
    Mirror,
    RandomPool,
    Relu,
    Select,
    Softmax,
    Subsample,
    Sum,
)
from alexnet.arch.serial import spec_from_json, spec_to_json
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError

GRAPH = Spec(
    name="graph",
    source="this file",
    input=(1, 9, 7),
    rows=(
        Conv("conv1", 4, 3, stride=2, rounding="ceil", weight_std=0.5, bias_init=1),
        Conv("conv2", 4, 3, stride=2, rounding="ceil", inputs=("image",)),
        Relu("relu2", inputs=("conv1", "conv2")),
        Local("local3", 2, 1),
        AvgPool("pool3", 2, 2, rounding="floor"),
        AdaptiveAvgPool("pool4", 2),
        Fc("fc5", 3, groups=1),
        Softmax("prob"),
    ),
)
ODD = Spec(
    name="odd",
    source="this file",
    input=(3, 16, 16),
    rows=(
        Blur("blur", 5, 2.0),
        Subsample("nails", 2),
        Mirror("mirror"),
        Select("select", (2, 0, 2, 1)),
        Conv("conv1", 4, 3, padding=1, groups=2, has_bias=False),
        ContrastNorm("norm1", size=5),
        Sum("sum", inputs=("conv1", "norm1"), coefficients=(1.0, -0.5)),
        RandomPool("pool1", 2, 2),
        Fc("one", 3),
        Fc("two", 4, inputs=("pool1",)),
        Concat("both", inputs=("one", "two")),
        Logistic("prob"),
    ),
)


def every_net() -> dict[str, Spec]:
    specs = dict(NETS)
    for net in NETS:
        for ablation in ABLATIONS:
            try:
                specs[f"{net}+{ablation}"] = find(f"{net}+{ablation}")
            except SpecError:
                continue
    return specs


SPECS = every_net() | {"graph": GRAPH, "odd": ODD}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_net_comes_back_equal_from_json_text(spec):
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_the_nets_above_have_every_kind_of_row():
    assert {row.kind for spec in SPECS.values() for row in spec.rows} == set(ROW_TYPES)


def test_every_setting_is_written_out():
    """What is stored must not change its meaning when a default does."""
    first, *_, last = spec_to_json(GRAPH)["rows"]
    assert first == {
        "kind": "conv",
        "name": "conv1",
        "inputs": [],
        "weight_std": 0.5,
        "bias_init": 1,
        "out_channels": 4,
        "kernel_size": 3,
        "stride": 2,
        "padding": 0,
        "groups": 1,
        "rounding": "ceil",
    }
    assert last == {"kind": "softmax", "name": "prob", "inputs": []}


def test_a_net_as_nets_always_were_is_stored_as_ever():
    """Checksums of nets are kept in files: a setting that came later is there only where it says something."""
    assert not any("has_bias" in row for row in spec_to_json(GRAPH)["rows"])
    assert [row["has_bias"] for row in spec_to_json(ODD)["rows"] if "has_bias" in row] == [False]


def test_settings_left_out_take_their_defaults():
    stored = spec_to_json(GRAPH)
    stored["rows"][6] = {"kind": "fc", "name": "fc5", "out_features": 3}
    del stored["published_error"]
    assert spec_from_json(stored) == GRAPH


@pytest.mark.parametrize("kind", ["lstm", None, "row", "Conv"])
def test_an_unknown_kind_of_row_is_refused(kind):
    stored = spec_to_json(GRAPH)
    stored["rows"][0]["kind"] = kind
    with pytest.raises(SpecError, match=f"unknown kind {kind!r}"):
        spec_from_json(stored)


def test_a_row_without_a_kind_is_refused():
    stored = spec_to_json(GRAPH)
    del stored["rows"][0]["kind"]
    with pytest.raises(SpecError, match="unknown kind None"):
        spec_from_json(stored)


@pytest.mark.parametrize("missing", ["name", "out_channels", "kernel_size"])
def test_a_missing_setting_is_named(missing):
    stored = spec_to_json(GRAPH)
    del stored["rows"][0][missing]
    with pytest.raises(SpecError, match=f"wrong settings: {missing}$"):
        spec_from_json(stored)


def test_an_extra_setting_is_named():
    stored = spec_to_json(GRAPH)
    stored["rows"][0]["dilation"] = 2
    with pytest.raises(SpecError, match=r"'conv1' \(conv\) has wrong settings: dilation$"):
        spec_from_json(stored)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("name", 5),
        ("name", None),
        ("out_channels", "96"),
        ("out_channels", 96.0),
        ("out_channels", True),
        ("out_channels", None),
        ("kernel_size", [3, 3]),
        ("stride", 1.5),
        ("padding", "same"),
        ("rounding", "up"),
        ("rounding", ", "),
        ("rounding", None),
        ("rounding", ["ceil"]),
        ("weight_std", "0.01"),
        ("weight_std", True),
        ("bias_init", {}),
        ("inputs", "image"),
        ("inputs", [1]),
        ("inputs", None),
    ],
)
def test_an_ill_typed_setting_is_named_with_its_row(setting, value):
    stored = spec_to_json(GRAPH)
    stored["rows"][0][setting] = value
    with pytest.raises(SpecError, match=rf"\(conv\): {setting} cannot be"):
        spec_from_json(stored)


@pytest.mark.parametrize(("setting", "value"), [("weight_std", None), ("weight_std", 1), ("rounding", "floor")])
def test_a_well_typed_setting_is_taken(setting, value):
    stored = spec_to_json(GRAPH)
    stored["rows"][0][setting] = value
    assert getattr(spec_from_json(stored).rows[0], setting) == value


def broken(**changed: object) -> dict[str, object]:
    return deepcopy(spec_to_json(GRAPH)) | changed


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "krizhevsky-145",
        {},
        broken(input=[3, 224]),
        broken(input="big"),
        broken(input=None),
        broken(rows=[]),
        broken(rows=None),
        broken(rows=["conv1"]),
        broken(rows=[5]),
    ],
)
def test_anything_else_is_refused_in_one_line(stored):
    with pytest.raises(SpecError) as refusal:
        spec_from_json(stored)
    assert "\n" not in str(refusal.value)


def test_stored_rows_are_checked_like_written_ones():
    stored = spec_to_json(GRAPH)
    stored["rows"][2]["inputs"] = ["conv1", "conv9"]
    with pytest.raises(SpecError, match="relu2 reads conv9"):
        spec_from_json(stored)


def test_reading_leaves_what_was_read_alone():
    stored = spec_to_json(GRAPH)
    before = deepcopy(stored)
    spec_from_json(stored)
    assert stored == before
