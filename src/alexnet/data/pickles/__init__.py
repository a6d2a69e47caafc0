"""The published batches are pickles, and a pickle is a program. This runs the few instructions that build plain values.

Python's own unpickler asks before it calls anything (`find_class`), but that is not enough: eight bytes, an index of
its memo, make it take gigabytes, and a deep tuple as the key of a dict ends the process. Here is nothing to call: there
are only numbers, text, bytes, lists, tuples, dicts, and arrays of numbers.
"""

import mmap
from pathlib import Path
from typing import Any

from alexnet.data.pickles.instructions import ACTIONS, READS
from alexnet.data.pickles.machine import Machine, Span
from alexnet.errors import DataError

__all__ = ["Span", "load_pickle", "parse_pickle"]

# Ours: a batch of CIFAR-10 has 32,000. An instruction takes about a microsecond and makes less than a kilobyte, beside
# bytes of the file, each of which can be copied a few times only (`Machine.raw`). So this limits time and memory.
MAX_INSTRUCTIONS = 1_000_000

_STOP = b"."


def load_pickle(path: Path, *, spans: bool = False) -> Any:
    """The object in a pickle of Python 2 or 3, of plain values and NumPy arrays; byte strings come as latin-1 text.

    With `spans` a long string comes as the `Span` of the file where it stands, and is not read. Arrays may be
    read-only.

    Raises:
        DataError: not a pickle, cut off, or one that asks for anything else; that is refused before it runs.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return parse_pickle(content, spans=spans)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError:  # an empty file cannot be mapped
        raise DataError(f"{path}: empty file (0 bytes); copy it again") from None


def parse_pickle(content: bytes | mmap.mmap, *, spans: bool = False) -> Any:
    """What `load_pickle` does, of bytes; its errors name no file."""
    try:
        return _run(Machine(content, spans))
    except Exception as error:  # cut or hostile bytes raise nearly anything: IndexError, KeyError, UnicodeError ...
        reason = " ".join(str(error).split()) or type(error).__name__
        line = reason if isinstance(error, DataError) else f"not a whole pickle ({reason}); copy it again"
        raise DataError(line) from None


def _run(machine: Machine) -> Any:
    for _ in range(MAX_INSTRUCTIONS):
        code = machine.take(1)
        if code == _STOP:
            return machine.stack.pop()
        if read := READS.get(code):
            value = read(machine)  # on its own: reading may put another stack in place
            machine.stack.append(value)
        elif act := ACTIONS.get(code):
            act(machine)
        else:
            raise DataError(f"not a pickle of plain data (instruction {code!r}); refused")
    raise DataError(f"a pickle of more than {MAX_INSTRUCTIONS:,} instructions, which no batch has; refused")
