"""Which of a step's images a process works on."""

from typing import NamedTuple

from alexnet.spans import Span


class Share(NamedTuple):
    """`sizes`: how many images of a step each process has, those that could be read; `rank`: whose share this is."""

    sizes: tuple[int, ...]
    rank: int = 0

    @property
    def total(self) -> int:
        """Images of the step, in all processes."""
        return sum(self.sizes)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images of each process lie among them."""
        return tuple(Span(sum(self.sizes[:rank]), size, self.total) for rank, size in enumerate(self.sizes))

    @property
    def own(self) -> Span:
        """Where ours do."""
        return self.spans[self.rank]
