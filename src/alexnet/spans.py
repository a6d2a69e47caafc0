"""Parts of something that lies in order: of a row's outputs, of a batch's images, of a job. Standard library only."""

from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """`size` of `total`, from `start` on."""

    start: int
    size: int
    total: int

    @property
    def stop(self) -> int:
        """Where the next one starts."""
        return self.start + self.size


def which_of(number: str | None, count: str | None) -> tuple[int, int] | None:
    """(number, count) as somebody wrote them, the number being one from 0 to below count; None where it is not."""
    found = [int(word) if word and word.isascii() and word.isdigit() else -1 for word in (number, count)]
    return (found[0], found[1]) if 0 <= found[0] < found[1] else None


def spans(total: int, count: int) -> tuple[Span, ...]:
    """`total` cut into `count` spans in order, the first ones larger by one where it does not divide."""
    starts = [part * (total // count) + min(part, total % count) for part in range(count + 1)]
    return tuple(Span(start, stop - start, total) for start, stop in pairwise(starts))
