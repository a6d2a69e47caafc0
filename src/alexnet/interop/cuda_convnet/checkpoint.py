"""cuda-convnet's checkpoints: what its pickles hold of a net's layers, and where a run stood. Nothing in them is run.

A file is a pickle, plain, gzipped, or as the member `data` of a zip archive: a dict of `model_state` and `op`. The
layers are a dict by name or, before 2012, a list, in which they may know each other by their places. `op` holds objects
of cuda-convnet's own module `options`; they stay shut.

Source: 2012 release, layer.py, initw.py and shownet.py; cuda-convnet, gpumodel.py and util.py. No checkpoint of the
2012 release is public, so that no real one has been read.
"""

import gzip
import io
import mmap
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.spec import MOST_ROWS
from alexnet.data.pickles import MAX_INSTRUCTIONS
from alexnet.data.pickles.arrays import Call, find_call
from alexnet.data.pickles.instructions import ACTIONS, READS, Read
from alexnet.data.pickles.machine import Machine
from alexnet.errors import InputError

Array = NDArray[np.float32]

_OPTIONS = "options"  # the module whose classes stay shut
MEMBER = "data"  # of a zip archive; PyTorch's have none of this name outside of a folder

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MOST_BYTES = 4 << 30  # ours: twice the largest released net with its increments
_MOST_RATIO = 100  # ours: numbers that were trained halve at best; increments that are all zero hardly count
_CHUNK = 1 << 20
_LONGEST_NAME = 256  # ours, of a layer, in characters


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """layers: their settings and arrays by name, as in the pickle, at most `MOST_ROWS`; what they read, by name too.
    epoch: from 1; batch: the data batch after it.
    """

    layers: Mapping[str, Mapping[str, Any]]
    epoch: int
    batch: int


class Shut:
    """An object of a class that is not known here; what it holds is not looked at."""


def read_checkpoint(content: bytes | mmap.mmap) -> Checkpoint:
    """The checkpoint in the content of a file.

    Raises:
        InputError: no checkpoint, cut or damaged, or one that asks for anything but numbers; one line, nothing was run.
    """
    found = _run(_unpacked(content))
    state = found.get("model_state") if isinstance(found, dict) else None
    layers = _layers(state.get("layers")) if isinstance(state, dict) else None
    if not layers:
        raise InputError("a pickle, but no checkpoint of cuda-convnet (no layers in its model_state)")
    epoch, batch = (state.get(name, 0) for name in ("epoch", "batchnum"))  # type: ignore[union-attr]
    if type(epoch) is not int or type(batch) is not int:
        raise InputError("a checkpoint whose epoch is no number; damaged?")
    return Checkpoint(layers=layers, epoch=epoch, batch=batch)


def _layers(stored: Any) -> Mapping[str, Mapping[str, Any]] | None:
    """By name, whichever way they are kept; None if they are no layers."""
    if not isinstance(stored, dict | list):
        return None
    if len(stored) > MOST_ROWS:
        raise InputError(f"a checkpoint of {len(stored):,} layers; a net may have {MOST_ROWS}")
    layers = stored if isinstance(stored, list) else list(stored.values())
    if not all(isinstance(layer, dict) for layer in layers):
        return None
    names = [layer.get("name") for layer in layers] if isinstance(stored, list) else list(stored)
    if not all(type(name) is str and name.isprintable() and len(name) <= _LONGEST_NAME for name in names):
        return None
    return _by_name(names, layers) if isinstance(stored, list) else stored


def _by_name(names: list[str], layers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of a list, which may read each other by their places in it."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two layers are called {twice[0]}")
    named = {}
    for name, layer in zip(names, layers, strict=True):
        reads = layer.get("inputs")
        if isinstance(reads, list | tuple) and len(reads) <= MOST_ROWS:
            inputs = [names[read] if type(read) is int and 0 <= read < len(names) else read for read in reads]
            layer = {**layer, "inputs": inputs}
        named[name] = layer
    return named


def _unpacked(content: bytes | mmap.mmap) -> bytes | mmap.mmap:
    start = content[:4]
    try:
        if start[:2] == _GZIP:
            with gzip.open(io.BytesIO(content)) as file:
                return _limited(file, len(content))
        if start == _ZIP:
            with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(MEMBER) as member:
                return _limited(member, len(content))
    except KeyError:
        raise InputError(f"a zip archive without the member {MEMBER!r} of a cuda-convnet checkpoint") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(f"damaged ({error}); copy it again") from None
    return content


def _limited(file: Any, packed: int) -> bytes:
    """All of it, unless it grows beyond what weights could."""
    most = min(_MOST_BYTES, _MOST_RATIO * packed + _CHUNK)
    parts: list[bytes] = []
    size = 0
    while part := file.read(_CHUNK):
        size += len(part)
        if size > most:
            raise InputError(f"{packed:,} packed bytes become over {most:,}, which no weights do; refused")
        parts.append(part)
    return b"".join(parts)


def _run(content: bytes | mmap.mmap) -> Any:
    reads: Mapping[bytes, Read] = {
        **READS,
        b"c": lambda machine: _named(*(machine.take_line().decode("utf-8") for _ in range(2))),
        b"\x93": lambda machine: _named(*_popped(machine, 2)),
        b"i": lambda machine: _made(_named(*(machine.take_line().decode("utf-8") for _ in range(2))), machine),
        b"o": _made_of_class,
        b"\x81": lambda machine: _shut(_popped(machine, 2)[0]),
        b"R": lambda machine: _called(machine),
        b"b": lambda machine: _filled(machine),
    }
    try:
        machine = Machine(content, spans=True)
        for _ in range(MAX_INSTRUCTIONS):
            code = machine.take(1)
            if code == b".":
                return machine.stack.pop()
            if code in reads:
                value = reads[code](machine)
                machine.stack.append(value)
            elif code in ACTIONS:
                ACTIONS[code](machine)
            else:
                raise InputError(f"its pickle has an instruction {code!r}, which no checkpoint needs; refused")
    except Exception as error:  # cut or hostile bytes raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        line = reason if isinstance(error, InputError) else f"not a whole pickle ({reason:.200}); copy it again"
        raise InputError(line) from None
    raise InputError(f"its pickle has over {MAX_INSTRUCTIONS:,} instructions; refused")


def _popped(machine: Machine, count: int) -> list[Any]:
    return [machine.stack.pop() for _ in range(count)][::-1]


def _named(module: Any, name: Any) -> Any:
    """A class that stays shut, or one of the few calls that arrays need."""
    if type(module) is str and module.split(".")[0] == _OPTIONS:
        return Shut
    inert = _INERT.get((module, name)) if type(module) is type(name) is str else None
    return inert or find_call(module, name)


# How Python 2 spells an object of a new-style class: a call, and the class below all others, which the call is told.
_RECONSTRUCTED, _OBJECT = object(), object()
_INERT = {("copy_reg", "_reconstructor"): _RECONSTRUCTED, ("__builtin__", "object"): _OBJECT}


def _shut(of: Any) -> Shut:
    if of is not Shut:
        raise InputError("its pickle makes objects of what is no class of cuda-convnet's; refused, nothing was run")
    return Shut()


def _made(of: Any, machine: Machine) -> Shut:
    machine.close_mark()
    return _shut(of)


def _made_of_class(machine: Machine) -> Shut:
    of, *_ = machine.close_mark()
    return _shut(of)


def _called(machine: Machine) -> Any:
    call, arguments = _popped(machine, 2)
    if call is Shut or (call is _RECONSTRUCTED and arguments and arguments[0] is Shut):
        return Shut()
    if not isinstance(call, Call):
        raise InputError("its pickle calls what is no function; refused")
    return call.make(machine.raw, *arguments)


def _filled(machine: Machine) -> Any:
    if len(machine.stack) > 1 and isinstance(machine.stack[-2], Shut):
        return _popped(machine, 2)[0]
    return READS[b"b"](machine)
