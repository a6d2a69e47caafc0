"""A Spec to JSON and back, exactly; what weights files and run folders store. Standard library only."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, Literal, cast, get_args, get_origin

from alexnet.arch.rows import ROW_TYPES, Row
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError

# Settings that rows did not always have. Where they are as they were then they are left out, so that an old net is
# stored, and its checksum computed, as ever.
_LATER: Mapping[str, Any] = {"has_bias": True}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """`spec` as plain dicts, lists, strings and numbers."""
    return {
        "name": spec.name,
        "source": spec.source,
        "published_error": spec.published_error,
        "input": list(spec.input),
        "rows": [{"kind": row.kind, **_row_fields(row)} for row in spec.rows],
    }


def spec_from_json(stored: Any) -> Spec:
    """The Spec that `spec_to_json` wrote.

    Raises:
        SpecError: not such a description, an unknown row kind, or a row with missing, unknown or ill-typed settings.
    """
    try:
        return Spec(
            name=str(stored["name"]),
            source=str(stored["source"]),
            published_error=str(stored.get("published_error", "")),
            input=_triple(stored["input"]),
            rows=tuple(_row(dict(row)) for row in stored["rows"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(f"not a stored net description: {type(error).__name__}: {error}") from error


def _row_fields(row: Row) -> dict[str, Any]:
    said = {key: value for key, value in asdict(row).items() if key not in _LATER or value != _LATER[key]}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}


def _triple(values: Any) -> tuple[int, int, int]:
    channels, height, width = (int(value) for value in values)
    return channels, height, width


def _row(stored: dict[str, Any]) -> Row:
    kind = stored.pop("kind", None)
    if kind not in ROW_TYPES:
        raise SpecError(f"stored net has a row of unknown kind {kind!r}; it needs a newer version of this package")
    row_type = ROW_TYPES[kind]
    known = {field.name: field for field in fields(row_type)}
    required = {name for name, field in known.items() if field.default is MISSING}
    if wrong := (stored.keys() - known.keys()) | (required - stored.keys()):
        raise SpecError(f"stored row {stored.get('name')!r} ({kind}) has wrong settings: {', '.join(sorted(wrong))}")
    for name, value in stored.items():
        if not _fits(value, known[name].type):
            raise SpecError(f"stored row {stored.get('name')!r} ({kind}): {name} cannot be {value!r}")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    return row_type(**cast(dict[str, Any], settings))


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a JSON value suits a field's type: `int`, `float | None`, `tuple[str, ...]`, a Literal."""
    choices = get_args(wanted)
    if get_origin(wanted) is Literal:
        return value in choices
    if get_origin(wanted) is tuple:
        return isinstance(value, list) and all(_fits(item, choices[0]) for item in value)
    if choices:
        return any(_fits(value, choice) for choice in choices)
    return type(value) is wanted or (wanted is float and type(value) is int)
