"""What processes tell each other of themselves, in words and plain numbers."""

from collections.abc import Mapping, Sequence

from alexnet.errors import AlexNetError, DataError, InputError, RunError

MOST_SAID = 80  # characters of a fact in a line


def compare(facts: Sequence[Mapping[str, object]]) -> None:
    """Raises InputError where processes differ in one of their `facts`, by rank: names it, and the first that does."""
    for rank, theirs in enumerate(facts):
        for name, value in facts[0].items():
            if theirs.get(name) != value:
                raise InputError(
                    f"rank {rank} has another {name} than rank 0: {_short(theirs.get(name))}, not {_short(value)}; "
                    "start all with the same command"
                )


def _short(fact: object) -> str:
    said = str(fact)
    return said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}..."


def describe(error: Exception | None) -> tuple[str, int, bool] | None:
    """In words, with the exit status, and whether it is of the data."""
    if error is None:
        return None
    line = str(error) if isinstance(error, AlexNetError | OSError) else f"{type(error).__name__}: {error}"
    return line, getattr(error, "exit_status", RunError.exit_status), isinstance(error, DataError)
