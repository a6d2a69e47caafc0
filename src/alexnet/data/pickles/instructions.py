"""What every instruction of a pickle does that builds plain values; the others are refused.

Source: Python's pickletools.py, which documents each.
"""

import codecs
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from alexnet.data.pickles.arrays import Call, Unfinished, find_call
from alexnet.data.pickles.machine import Machine, Span
from alexnet.errors import DataError

Read = Callable[[Machine], Any]  # what an instruction pushes
Action = Callable[[Machine], None]  # what it does otherwise


def _number(layout: str) -> Read:
    compiled = Struct(layout)
    return lambda machine: machine.take_number(compiled)


_U1, _U2, _U4, _U8, _I4, _F8 = map(_number, ("<B", "<H", "<I", "<Q", "<i", ">d"))


def _counted(size: Read, read: Callable[[Machine, int], Any]) -> Read:
    return lambda machine: read(machine, size(machine))


def _text(machine: Machine, size: int) -> str:
    return machine.take(size).decode("utf-8", "surrogatepass")


def _python_2_string(machine: Machine, size: int) -> str | Span:
    string = machine.take_string(size)
    return string if isinstance(string, Span) else string.decode("latin1")


def _quoted_string(machine: Machine) -> str:
    unescaped, _ = codecs.escape_decode(machine.take_line()[1:-1])
    return unescaped.decode("latin1")


def _integer(machine: Machine, size: int) -> int:
    return int.from_bytes(machine.take(size), "little", signed=True)


def _integer_line(machine: Machine) -> int | bool:
    line = machine.take_line()
    return line == b"01" if line in {b"00", b"01"} else int(line.rstrip(b"L"))  # 00 and 01 are False and True


def _memoized(name: Read) -> Read:
    def get(machine: Machine) -> Any:
        value = machine.memo[name(machine)]
        return value.value if isinstance(value, Unfinished) else value

    return get


def _memoize(name: Read) -> Action:
    def put(machine: Machine) -> None:
        machine.memo[name(machine)] = machine.stack[-1]

    return put


def _line_number(machine: Machine) -> int:
    number = int(machine.take_line())
    if not 0 <= number < 2**32:  # as in the binary instructions; larger ones can be chosen to have all the same hash
        raise DataError("the memo of the pickle has no such place; refused")
    return number


def _last(count: int) -> Read:
    """A tuple of the last `count` values."""

    def pop(machine: Machine) -> tuple[Any, ...]:
        return tuple(machine.stack.pop() for _ in range(count))[::-1]

    return pop


def _named(machine: Machine) -> Call:
    return find_call(machine.take_line().decode("utf-8"), machine.take_line().decode("utf-8"))


def _named_on_stack(machine: Machine) -> Call:
    module, name = _last(2)(machine)
    return find_call(module, name)


def _called(machine: Machine) -> Any:
    call, arguments = _last(2)(machine)
    if not isinstance(call, Call):
        raise DataError("the pickle calls what is no function; refused")
    return call.make(machine.raw, *arguments)


def _filled(machine: Machine) -> Any:
    unfinished, state = _last(2)(machine)
    if not isinstance(unfinished, Unfinished):
        raise DataError("the pickle fills what is no array; refused")
    return unfinished.fill(machine.raw, state)


def _open_mark(machine: Machine) -> None:
    if len(machine.outer) == _MAX_OPEN_MARKS:
        raise DataError(f"a pickle with more than {_MAX_OPEN_MARKS:,} open marks, which no batch has; refused")
    machine.outer.append(machine.stack)
    machine.stack = []


def _append(machine: Machine) -> None:
    _extend(machine, [machine.stack.pop()])


def _extend(machine: Machine, items: list[Any]) -> None:
    if type(machine.stack[-1]) is not list:
        raise DataError("the pickle appends to what is no list; refused")
    machine.stack[-1].extend(items)


def _set_item(machine: Machine) -> None:
    _update(machine, list(_last(2)(machine)))


def _update(machine: Machine, items: list[Any]) -> None:
    if type(machine.stack[-1]) is not dict:
        raise DataError("the pickle sets items of what is no dict; refused")
    machine.stack[-1].update(_dict(items))


def _dict(items: list[Any]) -> dict[Any, Any]:
    if not all(map(_is_key, items[::2])):
        raise DataError("the pickle has a dict whose keys are neither names nor small numbers; refused")
    return dict(zip(items[::2], items[1::2], strict=True))


def _is_key(value: Any) -> bool:
    """Large numbers can have all the same hash, long text is slow to compare, deep tuples overflow the stack."""
    if type(value) is int:
        return abs(value) < 2**31
    return type(value) in (str, bytes) and len(value) <= _MAX_KEY_LENGTH


def _passed_over(size: int) -> Action:
    def skip(machine: Machine) -> None:
        machine.skip(size)

    return skip


def _pop_mark(machine: Machine) -> None:
    machine.close_mark()


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        _pop_mark(machine)


_MAX_OPEN_MARKS = 1000
_MAX_KEY_LENGTH = 256  # ours; the longest of the published ones is "batch_label"

READS: Mapping[bytes, Read] = {
    b"N": lambda _: None,
    b"\x88": lambda _: True,
    b"\x89": lambda _: False,
    b"K": _U1,
    b"M": _U2,
    b"J": _I4,
    b"G": _F8,
    b"\x8a": _counted(_U1, _integer),
    b"\x8b": _counted(_I4, _integer),
    b"I": _integer_line,
    b"L": _integer_line,
    b"F": lambda machine: float(machine.take_line()),
    # Byte strings of Python 2, text, byte strings of Python 3.
    b"S": _quoted_string,
    b"U": _counted(_U1, _python_2_string),
    b"T": _counted(_I4, _python_2_string),
    b"V": lambda machine: machine.take_line().decode("raw-unicode-escape"),
    b"\x8c": _counted(_U1, _text),
    b"X": _counted(_U4, _text),
    b"\x8d": _counted(_U8, _text),
    b"C": _counted(_U1, Machine.take_string),
    b"B": _counted(_U4, Machine.take_string),
    b"\x8e": _counted(_U8, Machine.take_string),
    b"\x96": _counted(_U8, Machine.take_string),
    # Empty ones, and those of what stands on the stack.
    b")": lambda _: (),
    b"]": lambda _: [],
    b"}": lambda _: {},
    b"\x85": _last(1),
    b"\x86": _last(2),
    b"\x87": _last(3),
    b"t": lambda machine: tuple(machine.close_mark()),
    b"l": Machine.close_mark,
    b"d": lambda machine: _dict(machine.close_mark()),
    b"2": lambda machine: machine.stack[-1],
    # What was put into the memo.
    b"g": _memoized(_line_number),
    b"h": _memoized(_U1),
    b"j": _memoized(_U4),
    # Arrays, dtypes, numbers.
    b"c": _named,
    b"\x93": _named_on_stack,
    b"R": _called,
    b"b": _filled,
}

ACTIONS: Mapping[bytes, Action] = {
    b"(": _open_mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"a": _append,
    b"e": lambda machine: _extend(machine, machine.close_mark()),
    b"s": _set_item,
    b"u": lambda machine: _update(machine, machine.close_mark()),
    b"p": _memoize(_line_number),
    b"q": _memoize(_U1),
    b"r": _memoize(_U4),
    b"\x94": _memoize(lambda machine: len(machine.memo)),
    b"\x80": _passed_over(1),  # the number of the protocol
    b"\x95": _passed_over(8),  # the size of a frame
}
