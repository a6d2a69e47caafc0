"""Images that cannot be read: named once, counted, left out up to a limit. One of them does not end a night's run."""

from collections.abc import Callable

from alexnet.errors import DataError, ImageError

# Ours. ImageNet as distributed has none. Without one in a hundred a net trains alike; more means that something is
# wrong.
MOST_DAMAGED, ALWAYS_BORNE = 0.01, 10

OnDamaged = Callable[[ImageError], None]


def refuse(error: ImageError) -> None:
    """Bear none: the first damaged image is the error."""
    raise error


class DamagedImages:
    """Counts the damaged images of a split of `num_images`, and says each of them once."""

    def __init__(self, num_images: int, say: Callable[[str], None]) -> None:
        # Fewer than half of a small split, or one would train on what is left of a data set that is gone.
        self.limit = min(max(ALWAYS_BORNE, int(MOST_DAMAGED * num_images)), (num_images - 1) // 2)
        self.num_images = num_images
        self._say = say
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, error: ImageError) -> None:
        """Take note of one.

        Raises:
            DataError: it is one too many.
        """
        line = str(error)
        if line in self._known:
            return
        self._known.add(line)
        self._say(f"left out: {line}")
        if len(self) > self.limit:
            raise DataError(
                f"more than {self.limit} of {self.num_images:,} images cannot be read, the last one is {line}; "
                "are the data still there? repair them or take the damaged ones out"
            )
