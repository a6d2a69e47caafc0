"""PyTorch's .pth files without torch: the tensors of a state dict, where they lie in the file. Nothing in them is run.

Such a file is a zip archive in which nothing is compressed: FOLDER/data.pkl, a pickle in which each tensor names its
storage, and FOLDER/data/NAME, the numbers of each storage. The pickle is run by the instructions of `data.pickles`,
which call nothing; what PyTorch adds to them are the few names below. The archive keeps a CRC-32 of everything in it.

Source: torch.serialization and torch._utils of PyTorch 2.13; the archive is that of 1.6 and later.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from math import prod
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from alexnet.data.pickles import MAX_INSTRUCTIONS
from alexnet.data.pickles.arrays import Call
from alexnet.data.pickles.instructions import ACTIONS, READS, Read
from alexnet.data.pickles.machine import Machine
from alexnet.data.zip_index import LOCAL_HEADER_SIZE, STORED, Member, content_offset, walk_zip
from alexnet.errors import InputError

Array = NDArray[Any]

STATE_DICTS = ("state_dict", "model")  # under which the checkpoints of common training scripts keep it

# The parts of the archive, in its one folder.
PICKLE, BYTE_ORDER, STORAGES, EXTRA = "data.pkl", "byteorder", "data/", "extra/"

_MOST_MEMBERS = 1 << 14  # ours: a checkpoint of AlexNet has some fifty
_MOST_PICKLE_BYTES = 1 << 24  # ours: that of a state dict has two thousand
_MOST_SIDES = 8  # ours: weights have four
_MOST_VALUES = 1 << 40  # ours: no side or stride of a tensor comes near
_WHAT_TO_SAVE = "save model.state_dict() in float32 instead"


class _Storage(NamedTuple):
    """Numbers without a shape, where they lie in the file."""

    dtype: np.dtype[Any]
    content: memoryview


def read_state_dict(file: BinaryIO, content: memoryview) -> dict[str, Array]:
    """Key to float32 or float16 array, not copied, of the state dict in a .pth file, alone or in a checkpoint.

    `content`: all of `file`, mapped. The numbers are not looked at; `check_sums` does that.

    Raises:
        InputError: no whole .pth file, or one that holds anything else; one line, and nothing was run.
    """
    found = _run(*_open(file, content))
    for key in STATE_DICTS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not (isinstance(found, dict) and all(_is_entry(key, value) for key, value in found.items())):
        raise InputError(f"a PyTorch file without a state dict of plain tensors; {_WHAT_TO_SAVE}")
    return found


def read_extra(file: BinaryIO, content: memoryview) -> dict[str, memoryview]:
    """What else lies in a .pth file: name to bytes, those in its folder `extra`, of which PyTorch takes no notice.

    `content`: all of `file`, mapped.

    Raises:
        InputError: no whole .pth file; one line.
    """
    members = _members(file)
    start = f"{_folder(members)}{EXTRA}"
    extra = {name.removeprefix(start): member for name, member in members.items() if name.startswith(start)}
    return {name: _bytes(content, member) for name, member in extra.items()}


def check_sums(file: BinaryIO, content: memoryview) -> None:
    """Refuse a .pth file with other bytes than were saved. All of it is read: 0.06 s for 244 MB in memory.

    `content`: all of `file`, mapped. A CRC-32 of 0 says nothing: PyTorch writes it where it was told to take none.

    Raises:
        InputError: the first part that has another CRC-32; one line.
    """
    members = _members(file).values()
    if sum(member.size for member in members) > len(content):  # they overlap: a small file could take hours
        raise InputError("damaged (its archive names more bytes than it has); copy it again")
    for member in members:
        if member.crc and crc32(_bytes(content, member)) != member.crc:
            raise InputError(f"damaged ({member.name!r:.60} has another CRC-32 than was saved with it); copy it again")


def _is_entry(key: Any, value: Any) -> bool:
    return type(key) is str and isinstance(value, np.ndarray)


def _open(file: BinaryIO, content: memoryview) -> tuple[bytes, Callable[[str], memoryview]]:
    """(the pickle, what gives the bytes of a storage by its name)."""
    members = _members(file)
    folder = _folder(members)
    order = f"{folder}{BYTE_ORDER}"  # PyTorch before 2.1 wrote none
    if order in members and bytes(_bytes(content, members[order])) != b"little":
        raise InputError(f"a PyTorch file of a big-endian machine; {_WHAT_TO_SAVE} on another")

    def storage(name: str) -> memoryview:
        return _bytes(content, members[f"{folder}{STORAGES}{name}"])

    return bytes(_bytes(content, members[f"{folder}{PICKLE}"])), storage


def _folder(members: Mapping[str, Member]) -> str:
    """The folder that all parts are in, as the start of their names."""
    at = next((name for name in members if name.rpartition("/")[2] == PICKLE), None)
    if at is None or members[at].size > _MOST_PICKLE_BYTES:
        raise InputError(f"a zip archive, but no PyTorch file (no {PICKLE} of a state dict in it)")
    return at.removesuffix(PICKLE)


def _members(file: BinaryIO) -> dict[str, Member]:
    return {member.name: member for member in islice(walk_zip(file, "the archive"), _MOST_MEMBERS)}


def _bytes(content: memoryview, member: Member) -> memoryview:
    header = bytes(content[member.offset : member.offset + LOCAL_HEADER_SIZE])
    start = member.offset + content_offset(header)
    if member.method != STORED or member.encrypted or start == member.offset or start + member.size > len(content):
        raise InputError(f"not as PyTorch writes it, or damaged ({member.name!r:.60} is not stored plainly)")
    return content[start : start + member.size]


def _run(pickle: bytes, storage: Callable[[str], memoryview]) -> Any:
    """The object in the pickle, its tensors as arrays."""
    reads: Mapping[bytes, Read] = {
        **READS,
        b"c": _named,
        b"\x93": _named_on_stack,
        b"b": _with_attributes,
        b"Q": lambda machine: _stored(storage, machine.stack.pop()),
    }
    try:
        return _run_instructions(Machine(pickle, spans=False), reads)
    except Exception as error:  # cut or hostile bytes raise nearly anything: IndexError, KeyError, UnicodeError ...
        reason = " ".join(str(error).split()) or type(error).__name__
        line = reason if isinstance(error, InputError) else f"damaged ({reason:.200}); copy it again"
        raise InputError(line) from None


def _run_instructions(machine: Machine, reads: Mapping[bytes, Read]) -> Any:
    for _ in range(MAX_INSTRUCTIONS):
        code = machine.take(1)
        if code == b".":
            return machine.stack.pop()
        if code in reads:
            value = reads[code](machine)  # on its own: reading may put another stack in place
            machine.stack.append(value)
        elif code in ACTIONS:
            ACTIONS[code](machine)
        else:
            raise InputError(f"its pickle has an instruction {code!r}, which no tensor needs; refused")
    raise InputError(f"its pickle has over {MAX_INSTRUCTIONS:,} instructions; refused")


def _named(machine: Machine) -> Any:
    return _find(machine.take_line().decode("utf-8"), machine.take_line().decode("utf-8"))


def _named_on_stack(machine: Machine) -> Any:
    name, module = machine.stack.pop(), machine.stack.pop()
    return _find(module, name)


def _find(module: Any, name: Any) -> Any:
    """What stands for `module.name`."""
    if type(module) is not str or type(name) is not str:
        raise InputError(f"its pickle asks for what has no name: refused, nothing was run; {_WHAT_TO_SAVE}")
    if (full := f"{module}.{name}") not in _NAMES:
        raise InputError(f"its pickle asks for {full:.80}: refused, nothing was run; {_WHAT_TO_SAVE}")
    return _NAMES[full]


def _with_attributes(machine: Machine) -> Any:
    """A dict whose attributes are passed over: a state dict has some that only torch's modules read."""
    machine.stack.pop()
    target = machine.stack.pop()
    if type(target) is not dict:
        raise InputError(f"its pickle fills what is no state dict; refused, {_WHAT_TO_SAVE}")
    return target


def _stored(find: Callable[[str], memoryview], reference: Any) -> _Storage:
    """What a reference to a storage stands for: ("storage", its type, its name, a device, the number of its values)."""
    kind, dtype, name, _device, count = reference
    if kind != "storage" or not isinstance(dtype, np.dtype) or type(name) is not str:
        raise InputError(f"its pickle refers to what is no storage of numbers; {_WHAT_TO_SAVE}")
    content = find(name)
    if type(count) is not int or len(content) != count * dtype.itemsize:
        raise InputError(f"damaged (storage {name:.20} has {len(content):,} bytes); copy it again")
    return _Storage(dtype, content)


def _tensor(
    _raw: Any, storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, views: Any = None
) -> Array:
    """A view of a storage; offset and strides are in values."""
    if not isinstance(storage, _Storage) or views:
        raise InputError(f"a tensor in it is not a plain one; {_WHAT_TO_SAVE}")
    if not (_are_counts((offset,)) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise InputError("damaged (a tensor in it has no shape); copy it again")
    size = storage.dtype.itemsize
    if prod(shape) * size > len(storage.content):  # expanded: a small file could claim any size
        raise InputError(f"a tensor in it has more values than are stored; {_WHAT_TO_SAVE}")
    return np.ndarray(shape, storage.dtype, storage.content, offset * size, tuple(stride * size for stride in strides))


def _are_counts(values: Any) -> bool:
    return type(values) is tuple and len(values) <= _MOST_SIDES and all(map(_is_count, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_VALUES


def _parameter(_raw: Any, tensor: Any, _grad: Any, _hooks: Any) -> Any:
    return tensor


# What a name stands for: a `Call`, or the dtype of a storage.
_NAMES: Mapping[str, Call | np.dtype[Any]] = {
    "collections.OrderedDict": Call(lambda _raw: {}),
    "torch._utils._rebuild_tensor_v2": Call(_tensor),
    "torch._utils._rebuild_parameter": Call(_parameter),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
}
