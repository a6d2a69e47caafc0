import io
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from copy import copy
from typing import Any

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.pth import check_sums, read_state_dict

torch = pytest.importorskip("torch")

STATE = {
    "a.weight": torch.arange(24.0).reshape(2, 3, 4),
    "a.bias": torch.tensor([0.5, -1.0]),
    "scale": torch.tensor(3.0),
}


def saved(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def read(content: bytes) -> dict[str, np.ndarray]:
    return read_state_dict(io.BytesIO(content), memoryview(content))


def check(content: bytes) -> None:
    check_sums(io.BytesIO(content), memoryview(content))


def assert_is_state(found: dict[str, np.ndarray]) -> None:
    assert found.keys() == STATE.keys()
    for key, tensor in STATE.items():
        np.testing.assert_array_equal(found[key], tensor.numpy())
        assert found[key].shape == tuple(tensor.shape)


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state, "best": 0.5}])
def test_a_state_dict_alone_or_in_a_checkpoint_is_read(wrap) -> None:
    assert_is_state(read(saved(wrap(OrderedDict(STATE)))))
    assert_is_state(read(saved(wrap(dict(STATE)))))


def test_a_checkpoint_of_a_whole_training_is_read() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    rule = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(1, 3)).sum().backward()
    rule.step()
    found = read(saved({"model": net.state_dict(), "optimizer": rule.state_dict(), "arch": "alexnet"}))
    np.testing.assert_array_equal(found["0.weight"], net[0].weight.detach().numpy())


def test_attributes_parameters_halves_and_views_are_read() -> None:
    module = torch.nn.Linear(3, 2)
    state = module.state_dict()  # which has metadata as an attribute
    assert hasattr(state, "_metadata")
    matrix = torch.arange(12.0).reshape(3, 4)
    state["parameter"] = torch.nn.Parameter(matrix)
    state["half"] = matrix.half()
    state["turned"], state["part"] = matrix.t(), matrix[1:, 2:]
    state["channels_last"] = torch.arange(60.0).reshape(1, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    found = read(saved(state))
    for key, tensor in state.items():
        np.testing.assert_array_equal(found[key], tensor.detach().numpy(), err_msg=key)
    assert found["half"].dtype == np.float16


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_any_pickle_protocol_will_do(protocol: int) -> None:
    assert_is_state(read(saved(OrderedDict(STATE), pickle_protocol=protocol)))


def test_tensors_lie_in_the_file_itself() -> None:
    content = saved(STATE)
    assert np.shares_memory(read(content)["a.weight"], np.frombuffer(content, np.uint8))


def rewritten(change, value: Any = STATE, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive of `torch.save`, its members through `change`: name and content to another content, or to None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(value))) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in old.namelist():
            if (content := change(name.partition("/")[2], old.read(name))) is not None:
                new.writestr(name, content)
    return file.getvalue()


def with_pickle(content: bytes) -> bytes:
    return rewritten(lambda name, old: content if name == "data.pkl" else old)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def tensor_pickle(reference: str, arguments: bytes) -> bytes:
    """{"w": _rebuild_tensor_v2(storage, ...)} by hand: `arguments` are the instructions that push the rest."""
    head = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\n" + reference.encode() + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x18tQ"
    )
    return head + storage + arguments + b"tRs."


PLAIN = b"K\x00(K\x02K\x03K\x04t(K\x0cK\x04K\x01t\x89N"
REFUSED = {
    "code": (saved({"x": Evil()}), "asks for __builtin__.print: refused, nothing was run"),
    "a whole module": (
        saved(torch.nn.Linear(2, 2)),
        r"asks for torch.nn.modules.linear.Linear: .*save model.state_dict",
    ),
    "numbers of another kind": (saved({"x": torch.arange(3)}), "asks for torch.LongStorage"),
    "bfloat16": (saved({"x": torch.zeros(3).bfloat16()}), "asks for torch.BFloat16Storage"),
    "no tensors": (saved({"x": 3}), "without a state dict of plain tensors"),
    "a tensor alone": (saved(torch.zeros(3)), "without a state dict"),
    "sparse": (saved({"x": torch.eye(3).to_sparse()}), "_rebuild_sparse_tensor"),
    "compressed": (rewritten(lambda _, old: old, compression=zipfile.ZIP_DEFLATED), "is not stored plainly"),
    "another byte order": (rewritten(lambda name, old: b"big" if name == "byteorder" else old), "big-endian"),
    "a storage missing": (rewritten(lambda name, old: None if name == "data/0" else old), "damaged .*data/0"),
    "a storage cut": (rewritten(lambda name, old: old[:-4] if name == "data/0" else old), "storage 0 has 92 bytes"),
    "another zip": (rewritten(lambda name, old: None if name == "data.pkl" else old), r"no data\.pkl"),
    "an empty pickle": (with_pickle(b""), "not a whole pickle"),
    "an unknown instruction": (with_pickle(b"\xff"), "instruction"),
    "endless": (with_pickle(b"N0" * 600_000), "over 1,000,000 instructions"),
    "beyond the storage": (with_pickle(tensor_pickle("FloatStorage", PLAIN.replace(b"K\x00(", b"K\x01("))), "damaged"),
    "a negative stride": (
        with_pickle(tensor_pickle("FloatStorage", PLAIN.replace(b"K\x0cK", b"J\xff\xff\xff\xffK"))),
        "shape",
    ),
    "more than any memory": (
        with_pickle(tensor_pickle("FloatStorage", b"K\x00(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft(K\x00K\x00t\x89N")),
        "more values than are stored",
    ),
    "one value many times": (saved({"x": torch.zeros(1).expand(1 << 20)}), "more values than are stored"),
    # A list that holds another twice, which holds another twice ...: its text has no end.
    "a name without end": (with_pickle(b"]q\x00" + b"(h\x00h\x00lq\x00" * 60 + b"h\x00\x93."), "has no name"),
    "a storage of words": (with_pickle(tensor_pickle("StringStorage", PLAIN)), "asks for torch.StringStorage"),
    "attributes of a tensor": (with_pickle(b"\x80\x02K\x01}b."), "fills what is no state dict"),
}


def test_a_pickle_by_hand_is_read() -> None:
    assert read(with_pickle(tensor_pickle("FloatStorage", PLAIN)))["w"].shape == (2, 3, 4)


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_is_refused_in_one_line(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, words = REFUSED[what]
    with pytest.raises(InputError, match=words) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert capsys.readouterr().out == ""


def test_a_flipped_bit_is_found_by_its_sum() -> None:
    content = bytearray(saved(STATE))
    check(bytes(content))
    for part, where in (("data/0", STATE["a.weight"].numpy().tobytes()), ("data.pkl", b"\x80\x02")):
        spoiled = bytearray(content)
        spoiled[content.index(where) + 1] ^= 1
        with pytest.raises(InputError, match=rf"damaged \('archive/{part}' has another CRC-32.*copy it again$"):
            check(bytes(spoiled))
    spoiled = bytearray(content)
    spoiled[content.index(STATE["a.weight"].numpy().tobytes()) + 1] ^= 1
    assert not np.array_equal(read(bytes(spoiled))["a.weight"], STATE["a.weight"].numpy())  # nothing else finds it


def test_a_file_that_was_saved_without_sums_is_taken() -> None:
    torch.serialization.set_crc32_options(False)
    try:
        content = saved(STATE)
    finally:
        torch.serialization.set_crc32_options(True)
    check(content)
    assert_is_state(read(content))


def test_parts_that_overlap_are_refused_before_they_are_read() -> None:
    """Or an archive of 100 MB could name the same 100 MB ten thousand times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data/0", bytes(4096))
        first = archive.infolist()[0]
        for name in ("archive/data/1", "archive/data/2"):
            again = copy(first)
            again.filename = again.orig_filename = name
            archive.filelist.append(again)
    with pytest.raises(InputError, match="names more bytes than it has"):
        check(file.getvalue())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_part_of_a_file_is_refused(share: float) -> None:
    content = saved(STATE)
    with pytest.raises(InputError, match="not a zip archive, or a damaged one"):
        read(content[: int(share * len(content))])


def test_spoiled_bytes_never_do_worse_than_an_error() -> None:
    rng, whole = np.random.default_rng(0), np.frombuffer(saved(OrderedDict(STATE)), np.uint8)
    at = whole.tobytes().index(b"\x80\x02")  # where the pickle begins
    for start, stop in ((0, len(whole)), (at, at + 600)):
        for _ in range(500):
            spoiled = whole.copy()
            spoiled[rng.integers(start, stop, size=3)] = rng.integers(0, 256, 3)
            with suppress(InputError):
                read(spoiled.tobytes())


def test_python_would_have_run_what_is_refused_here(capsys: pytest.CaptureFixture[str]) -> None:
    """So that the test above shows something."""
    pickle.loads(pickle.dumps(Evil()))
    assert capsys.readouterr().out == "run\n"
