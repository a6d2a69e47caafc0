"""What the instructions of a pickle work on."""

import mmap
from struct import Struct
from typing import Any, NamedTuple

from alexnet.errors import DataError

SPAN_BYTES = 256  # shorter strings are names and numbers, longer ones images


class Span(NamedTuple):
    """Where a long string stands in the file, in bytes."""

    start: int
    size: int


class Machine:
    """The file, a stack of values, the stacks below open marks, and a memo of values that are named again."""

    def __init__(self, content: bytes | mmap.mmap, spans: bool) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._content = content
        self._position = 0
        self._spans = spans
        self._encodable = len(content)  # text is named again with two bytes, and would be copied again

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self.skip(size)
        return self._content[start : start + size]

    def take_line(self) -> bytes:
        """The bytes up to the end of the line."""
        return self.take(self._content.find(b"\n", self._position) + 1 - self._position)[:-1]

    def take_number(self, layout: Struct) -> Any:
        """The next number."""
        return layout.unpack(self.take(layout.size))[0]

    def take_string(self, size: int) -> bytes | Span:
        """The next `size` bytes, or where they are."""
        return Span(self.skip(size), size) if self._spans and size >= SPAN_BYTES else self.take(size)

    def skip(self, size: int) -> int:
        """Pass `size` bytes over; where they begin."""
        start, end = self._position, self._position + size
        if not start <= end <= len(self._content):
            raise DataError(f"not a whole pickle (cut off at byte {len(self._content):,}); copy it again")
        self._position = end
        return start

    def raw(self, string: Any) -> memoryview:
        """The bytes of a string of any kind, without a copy where they stand in the file."""
        if isinstance(string, Span):
            return memoryview(self._content)[string.start : string.start + string.size]
        if type(string) is str:
            self._encodable -= len(string)
            if self._encodable < 0:
                raise DataError("the pickle has more bytes in its arrays than the file; refused")
            return memoryview(string.encode("latin1"))
        if type(string) is not bytes:  # arrays of arrays of arrays ... would overflow the stack when they are freed
            raise DataError("the pickle has an array of what are no bytes; refused")
        return memoryview(string)

    def close_mark(self) -> list[Any]:
        """All that was pushed since the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items
