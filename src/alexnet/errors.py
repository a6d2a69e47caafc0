"""The exceptions of this package, as a tree.

AlexNetError                 one line for people, and the exit status of the command line
├── InputError               exit 2: something given to us is wrong
│   ├── UnknownNameError     a net, recipe, row, class ... that does not exist; offers the nearest names
│   ├── SpecError            rows that do not fit together, an ablation that is undefined for a net
│   ├── DataError            a data set that cannot be used
│   │   ├── ImageError       bytes that are not an image, or only a part of one
│   │   └── ShardError       a damaged or truncated tar shard
│   ├── WeightsError         weights of another net, or with missing, extra or mis-shaped keys
│   ├── DownloadError        a published file that cannot be fetched, or came otherwise than published
│   └── MissingExtraError    an optional dependency that is not installed
├── RunError                 exit 1: a run failed after it began (out of memory, disk full)
│   └── DivergedError        training came to losses or weights that are no numbers
└── ToldElsewhereError       of another process of the same run, whose first says it
    └── DataToldElsewhereError   the same of a DataError, and one itself
"""

from collections.abc import Iterable
from difflib import get_close_matches


class AlexNetError(Exception):
    """Base of every error that this package raises on purpose; `str()` is one line that says what to do."""

    exit_status = 2

    def __str__(self) -> str:
        """One line, whatever a file's names and keys have in them: no line ends, nothing that a terminal obeys."""
        said = super().__str__()
        return " ".join("".join(each if each.isprintable() else " " for each in said).split())


class InputError(AlexNetError):
    """Bad arguments or bad input."""


class UnknownNameError(InputError):
    """A name that is in no table: the nearest ones are offered, and `more` that helps."""

    def __init__(self, what: str, name: str, known: Iterable[str], more: str = "") -> None:
        known = list(known)
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        super().__init__(f"unknown {what} {name!r}; {hint}" + (f" ({more})" if more else ""))


class SpecError(InputError):
    """A network whose rows do not fit together."""


class DataError(InputError):
    """A data set that cannot be used."""


class ImageError(DataError):
    """Something that is not a whole image; `kind` is the reason in a word, to count by."""

    def __init__(self, message: str, kind: str = "damaged") -> None:
        super().__init__(message)
        self.kind = kind


class ShardError(DataError):
    """A tar shard that cannot be read to its end."""


class WeightsError(InputError):
    """Weights that do not belong to the net they are loaded into."""


class DownloadError(InputError):
    """A published file that could not be had."""


class MissingExtraError(InputError, ImportError):
    """An optional dependency is missing; an ImportError too, for those who ask in that way."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need} is needed for this; install it with: pip install 'alexnet[{extra}]'")


class RunError(AlexNetError):
    """A run that failed after it began."""

    exit_status = 1


class DivergedError(RunError):
    """Training that came to losses or weights that are no numbers any more: it would again, at this rate."""


class ToldElsewhereError(AlexNetError):
    """What ended another process of the same run, and so this one; the first process of the run says it to people."""

    def __init__(self, line: str, exit_status: int) -> None:
        super().__init__(line)
        self.exit_status = exit_status


class DataToldElsewhereError(ToldElsewhereError, DataError):
    """The same where data ended it: what was done so far can be saved by all together."""
