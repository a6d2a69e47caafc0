"""Changes to messages as text, such as definitions of Caffe's: a field of a block is set to something else.

A change is a word of the form `KEY { FIELD: VALUE }`: it goes into a block that is called KEY, in the place of what the
field was there. Words are made from the tables of what a format has.
"""

import re
from collections.abc import Iterator, Mapping
from random import Random

_WORD = re.compile(rb"(\w+) \{ (\w+)(.*) \}", re.DOTALL)
_LONGEST = 200  # bytes of a word: what is longer is a whole definition
_BLOCK = re.compile(rb"(\w+)\s*\{")

# What fields of each type are set to.
_VALUES: Mapping[str, tuple[str, ...]] = {
    "string": ("'data'", "'x\\n'", "''"),
    "double": ("0", "-1", "0.5", "nan"),
    "bool": ("true", "false"),
    "uint32": ("0", "3", "1000000", "4294967295"),
    "int32": ("0", "2", "-1"),
    "int64": ("0", "5", "9223372036854775807"),
}


def words_of(
    messages: Mapping[str, Mapping[str, tuple[int, str]]], enums: Mapping[str, Mapping[str, int]], outermost: str
) -> Iterator[str]:
    """A word for every field, and for some values of each, of the messages that lie in `outermost` by their keys."""
    values = _VALUES | {name: tuple(known) for name, known in enums.items()}
    found, waiting = set[tuple[str, str]](), [(outermost, "")]
    while waiting:
        message, key = waiting.pop()
        for field, (_, kind) in messages[message].items():
            kind = kind.partition("=")[0].rstrip("*")
            if kind in messages and (kind, field) not in found:
                found.add((kind, field))
                waiting.append((kind, field))
            for value in values.get(kind, ("{ }",)) if key else ():
                yield f"{key} {{ {field} {value} }}" if value == "{ }" else f"{key} {{ {field}: {value} }}"


def has_blocks(content: bytes) -> bool:
    """Are there blocks, each of whose fields is on a line of its own?"""
    return b"{\n" in content


def is_word(word: bytes) -> bool:
    """Can it be set?"""
    return len(word) < _LONGEST and bool(_WORD.fullmatch(word))


def with_field(content: bytes, rng: Random, word: bytes) -> bytes:
    """`content` with the field of `word` set in one of the blocks that it is for, and as such a block where none is."""
    found = _WORD.fullmatch(word)
    assert found
    key, field, rest = found.groups()
    blocks = [block.end() for block in _BLOCK.finditer(content) if block[1] == key]
    if not blocks:
        ends = [block.end() for block in _BLOCK.finditer(content)] or [0]
        at = rng.choice(ends)
        return content[:at] + b"\n" + word + b"\n" + content[at:]
    start = rng.choice(blocks)
    end = _end_of_block(content, start)
    there = re.compile(rb"\b" + field + rb"\s*:\s*(?:'[^']*'|\"[^\"]*\"|[\w.+-]+)[ \t]*\n?")
    inside = content[start:end] if rng.random() < 0.2 else there.sub(b"", content[start:end], count=1)
    return content[:start] + b"\n" + field + rest + b"\n" + inside + content[end:]


def _end_of_block(content: bytes, start: int) -> int:
    depth = 1
    for brace in re.finditer(rb"[{}]", content[start:]):
        depth += 1 if brace[0] == b"{" else -1
        if not depth:
            return start + brace.start()
    return len(content)
