"""Checkpoints of cuda-convnet: read whatever they are packed in, and nothing in them is run."""

import gzip
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.checkpoint import read_checkpoint

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """A checkpoint as Python 2 would have pickled it, its options an object of the module `options`."""

    def stored(as_list: bool = False, protocol: int = 2, **more: object) -> bytes:
        module = types.ModuleType("options")
        parser = type("OptionsParser", (), {"__module__": "options"})
        module.OptionsParser = parser  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "options", module)
        op = parser()
        op.options = {"mini": op}
        data = {"name": "data", "type": "data", "inputs": []}
        fc = {"name": "fc", "type": "fc", "inputs": ["data"], "weights": [WEIGHTS], "inputLayers": [data]}
        layers = [data, fc] if as_list else {"data": data, "fc": fc}
        state = {
            "layers": layers,
            "epoch": 91,
            "batchnum": 1,
            "train_outputs": [({"logprob": [1.5, 0.5]}, 128)],
            **more,
        }
        return pickle.dumps({"model_state": state, "op": op}, protocol)

    return stored


def zipped(content: bytes, name: str = "data") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zipped], ids=["plain", "gzip", "zip"])
@pytest.mark.parametrize("as_list", [False, True], ids=["dict", "list"])
def test_every_kind_of_file_is_read(stored, as_list: bool, packed: Callable[[bytes], bytes]) -> None:
    found = read_checkpoint(packed(stored(as_list)))
    assert (found.epoch, found.batch) == (91, 1)
    assert list(found.layers) == ["data", "fc"]
    assert np.array_equal(found.layers["fc"]["weights"][0], WEIGHTS)


@pytest.mark.parametrize("protocol", range(5))
def test_every_protocol_is_read(stored, protocol: int) -> None:
    found = read_checkpoint(stored(protocol=protocol))
    assert found.epoch == 91
    assert np.array_equal(found.layers["fc"]["weights"][0], WEIGHTS)


def pickled(layers: object) -> bytes:
    return pickle.dumps({"model_state": {"layers": layers}}, 2)


def test_layers_of_a_list_may_read_each_other_by_their_places() -> None:
    layers = [
        {"name": "data", "inputs": []},
        {"name": "conv", "inputs": [0]},
        {"name": "sum", "inputs": (1, 0, "data")},
        {"name": "odd", "inputs": [4, -1, True, 0.0]},
    ]
    found = read_checkpoint(pickled(layers)).layers
    assert {name: layer["inputs"] for name, layer in found.items()} == {
        "data": [],
        "conv": ["data"],
        "sum": ["conv", "data", "data"],
        "odd": [4, -1, True, 0.0],  # which are no places: no layer is called so
    }
    by_name = read_checkpoint(pickled({layer["name"]: layer for layer in layers})).layers
    assert by_name["conv"]["inputs"] == [0]  # in a dict there are none


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"name": "fc"}, {"name": "fc"}], "two layers are called fc"),
        ([{"name": "fc"}, 3], "no layers"),
        ([{"name": ["fc"]}], "no layers"),
        ([{"type": "fc"}], "no layers"),
        ({"two\nlines": {}}, "no layers"),
        ([{"name": "x" * 300}], "no layers"),
        ([{"name": str(number)} for number in range(513)], "a checkpoint of 513 layers; a net may have 512"),
    ],
)
def test_layers_that_are_none_are_refused(layers: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_checkpoint(pickled(layers))


def test_the_member_of_an_archive_may_stand_anywhere(stored) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "the net of March")
        archive.writestr("data", stored())
    assert read_checkpoint(file.getvalue()).epoch == 91


def test_an_old_style_object_stays_shut() -> None:
    """As cPickle of Python 2 wrote them: a mark, the class, and OBJ; or INST."""
    layers = pickle.dumps({"fc": {"type": "fc"}}, protocol=2)[2:-1]
    for made in (b"(coptions\nOptionsParser\no}b", b"(ioptions\nOptionsParser\n}b"):
        content = b"\x80\x02}(U\x02op" + made + b"U\x0bmodel_state}(U\x06layers" + layers + b"U\x05epochK\x01uu."
        assert read_checkpoint(content).epoch == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a whole pickle"),
        (b"hello", "not a whole pickle"),
        (pickle.dumps([1, 2], 2), "no checkpoint"),
        (pickle.dumps({"model_state": {"layers": {"fc": 3}}}, 2), "no layers"),
        (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system, which is no array; refused"),
        (b"coptions\nOptionsParser\n.", "no checkpoint"),
        (b"(cposix\nsystem\no.", "refused"),
        (gzip.compress(b"x" * 50)[:-9], "damaged"),
        (zipped(b"", "other"), "without the member 'data'"),
        (b"PK\x03\x04" + b"\0" * 40, "damaged"),
    ],
    ids=[  # not the bytes: archives hold the time, and the workers of one run need the same names
        *("empty", "text", "list", "no layers", "system", "options", "posix", "cut gzip", "other member", "cut zip")
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_line(content: bytes, words: str) -> None:
    with pytest.raises(InputError) as raised:
        read_checkpoint(content)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("packed", [gzip.compress, zipped])
def test_a_bomb_is_refused_before_it_fills_the_memory(packed: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InputError, match="packed bytes become over"):
        read_checkpoint(packed(b"\0" * (300 << 20)))


def test_a_file_cut_anywhere_is_refused(stored) -> None:
    content = stored()
    for end in range(0, len(content), 7):
        with pytest.raises(InputError):
            read_checkpoint(content[:end])
