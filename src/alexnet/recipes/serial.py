"""A Recipe from its JSON, which `Recipe.to_json` wrote; what run folders store. Standard library only."""

from collections.abc import Callable, Mapping
from typing import Any

from alexnet.errors import InputError
from alexnet.recipes.recipe import (
    DExp,
    Exp,
    FilterLimits,
    Linear,
    Momenta,
    Plateau,
    Poly,
    Pruning,
    Rates,
    Recipe,
    Schedule,
    SharedValues,
    Steps,
)

_SCHEDULES = {kind.__name__.lower(): kind for kind in (Steps, DExp, Exp, Plateau, Linear, Poly)}


def recipe_from_json(stored: Any) -> Recipe:
    """The recipe that was stored.

    Raises:
        InputError: not such a description, or one with settings that this version does not know.
    """
    try:
        return Recipe(**{name: _READERS.get(name, _plain)(value) for name, value in stored.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"not a stored recipe: {type(error).__name__}: {error}") from error


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _schedule(stored: Mapping[str, Any]) -> Schedule:
    settings = {name: value for name, value in stored.items() if name != "kind"}
    if "drops" in settings:
        settings["drops"] = tuple((progress, rate) for progress, rate in settings["drops"])
    schedule: Schedule = _SCHEDULES[stored["kind"]](**settings)
    return schedule


def _rates(stored: Mapping[str, Any]) -> Rates:
    return Rates(weights=_schedule(stored["weights"]), biases=_schedule(stored["biases"]))


def _constraint(stored: Mapping[str, Any] | None) -> Pruning | SharedValues | None:
    if stored is None:
        return None
    settings = {name: value for name, value in stored.items() if name != "kind"}
    if stored["kind"] == SharedValues.__name__.lower():
        return SharedValues(**settings)
    shared = {name: value for name, value in settings.pop("shared").items() if name != "kind"}
    return Pruning(**settings, shared=SharedValues(**shared))


def _by_row(read: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda stored: {row: read(value) for row, value in stored.items()}


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "rates": _rates,
    "row_rates": _by_row(_rates),
    "row_momenta": _by_row(lambda stored: Momenta(**stored)),
    "row_limits": _by_row(lambda stored: FilterLimits(**stored)),
    "row_decay": dict,
    "color_noise": _schedule,
    "image_share": _schedule,
    "constraint": _constraint,
}
