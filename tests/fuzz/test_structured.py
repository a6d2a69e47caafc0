"""Changes that know what they change leave all else as it was."""

import json
import pickle
import pickletools
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.fuzz.fuzzer import _changed, _put
from tests.fuzz.structured import in_tensor, json_changed, setting_changed, value_changed
from tests.fuzz.targets import TARGETS, Target
from tests.weights.conftest import PUBLISHED, narrow

from alexnet.arch import NETS
from alexnet.errors import MissingExtraError
from alexnet.weights.packed import compress, decompress


def test_a_key_that_stands_once_is_changed_as_often_as_one_that_stands_everywhere() -> None:
    content = b"[a]\nrare=1\n" + b"".join(b"[b%d]\ncommon=2\n" % number for number in range(50))
    changed = [setting_changed(content, Random(seed), [b"word"]) for seed in range(300)]
    assert 80 < sum(b"[a]\nrare=1\n" not in each for each in changed) < 180
    assert all(each.count(b"[b") == 50 for each in changed)


def test_an_attribute_of_xml_is_a_setting() -> None:
    changed = {setting_changed(b'<data offset="0" size="4"/>', Random(seed), []) for seed in range(50)}
    assert any(
        each.startswith(b'<data offset="0" size="') and each != b'<data offset="0" size="4"/>' for each in changed
    )


def test_values_of_keys_are_changed_and_most_pickles_stay_whole() -> None:
    content = pickle.dumps({"epoch": 3, "many": [{"name": number} for number in range(50)]}, 2)
    found, whole = set(), 0
    for seed in range(300):
        changed = value_changed(content, Random(seed), [])
        with suppress(ValueError):
            codes = [(code.name, argument) for code, argument, _ in pickletools.genops(changed)]
            whole += 1
            at = next((at for at, (_, argument) in enumerate(codes) if argument == "epoch"), None)
            found |= {None if at is None else codes[at + 2]}
    assert whole > 250
    assert len(found) > 5


def test_a_packed_tensor_is_changed_inside_its_stream() -> None:
    header = {
        "a.codes": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 0]},
    }
    stream = compress(b"codes")
    header["a.codes"] |= {"shape": [len(stream)], "data_offsets": [0, len(stream)]}
    header["b"]["data_offsets"] = [len(stream), len(stream) + 4]
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + stream + np.float32(1).tobytes()
    parts = {}
    for seed in range(60):
        part, rebuild = in_tensor(content, Random(seed))
        changed = rebuild(part + b"more")
        about = json.loads(changed[8 : (start := 8 + int.from_bytes(changed[:8], "little"))])
        if len(about) < 2:  # sometimes the tensor goes
            continue
        first, last = about["a.codes"]["data_offsets"]
        parts[part] = about["b"]["data_offsets"][1] - about["b"]["data_offsets"][0], changed[start:][first:last]
    assert set(parts) == {b"codes", stream, np.float32(1).tobytes()}
    assert all(size == 4 for size, _ in parts.values())
    assert decompress(parts[b"codes"][1], 100) == b"codesmore"


@pytest.mark.parametrize("value", [True, 3, 0.5, "text", [1, 2], {"a": 1}])
def test_a_value_of_json_becomes_another(value: object) -> None:
    assert any(json_changed(value, Random(seed)) != value for seed in range(10))


def test_a_file_beside_may_be_gone() -> None:
    target = Target(opens="a", modules=(), seeds=list)
    changed = [_changed(target, [{"a": b"1", "b": b"2"}], 1, Random(seed)) for seed in range(500)]
    assert {tuple(files) for files in changed} == {("a", "b"), ("a",)}


def test_a_limit_that_is_gone_is_found_out() -> None:
    with pytest.raises(AttributeError, match=r"alexnet\.weights\.packed has no NOTHING"):
        Target(opens="a", modules=(), seeds=list, limits={"weights.packed.NOTHING": 1}).lower_limits()


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_seed_is_a_good_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed in a file that is refused anyway finds nothing."""
    for net in PUBLISHED:
        monkeypatch.setitem(NETS, net, narrow(NETS[net]))
    target = TARGETS[name]
    try:
        _put(tmp_path, target.seeds()[0])
        for read in target.reads:
            read(tmp_path / target.opens)
    except (MissingExtraError, ModuleNotFoundError) as error:
        pytest.skip(str(error))
