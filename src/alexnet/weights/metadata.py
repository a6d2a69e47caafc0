"""What the metadata of a weights file may say: every part is checked where it is read, and none is believed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from alexnet.data.splits import ClassInfo
from alexnet.errors import WeightsError

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

Errors = tuple[Mapping[str, Any], ...]


def read_classes(stored: Any) -> tuple[ClassInfo, ...]:
    """The classes of a list of {index, name, wnid}.

    Raises:
        WeightsError: it is something else.
    """
    fields: dict[str, tuple[type, ...]] = {"index": (int,), "name": (str,), "wnid": (str, type(None))}
    _expect(isinstance(stored, list) and all(_has(info, fields) for info in stored), "classes", "{index, name, wnid}")
    return tuple(ClassInfo(info["index"], info["name"], info["wnid"]) for info in stored)


def read_recipe(stored: Any) -> Mapping[str, Any] | None:
    """A recipe as plain JSON, or none.

    Raises:
        WeightsError: it is something else.
    """
    _expect(stored is None or isinstance(stored, dict), "recipe", "an object or null")
    recipe: Mapping[str, Any] | None = stored
    return recipe


def read_errors(stored: Any) -> Errors:
    """Measured errors, each {data, split, views, top1_error, top5_error}: three words, then 0 to 1, or none; and
    perhaps `images`, how many they are of.

    Raises:
        WeightsError: they are something else.
    """
    words, shares = ("data", "split", "views"), ("top1_error", "top5_error")
    fields = dict.fromkeys(words, (str,)) | dict.fromkeys(shares, (int, float, type(None)))
    plain = isinstance(stored, list) and all(
        _has(measured, fields)
        and all(0 <= (measured[share] or 0) <= 1 for share in shares)
        and type(images := measured.get("images", 1)) is int
        and images > 0
        for measured in stored
    )
    _expect(plain, "errors", f"{{{', '.join(fields)}}}, errors from 0 to 1")
    return tuple(stored)


def read_probe(stored: Any) -> Mapping[str, Any] | None:
    """A probe as `make_probe` gives it, or none; one without checksums will do.

    Raises:
        WeightsError: it is something else.
    """
    if stored is None:
        return None
    plain = _has(stored, {"logits": (list,)}) and all(_is_float32(logit) for logit in stored["logits"])
    _expect(plain, "probe", "{logits, crc32}, logits a list of finite numbers")
    checksums = stored.get("crc32", {})
    plain = isinstance(checksums, dict) and all(isinstance(checksum, str) for checksum in checksums.values())
    _expect(plain, "probe", "{logits, crc32}, checksums in words by name")
    probe: Mapping[str, Any] = stored
    return probe


def read_licence(stored: Any) -> str | None:
    """The name of a licence, or none.

    Raises:
        WeightsError: it is something else.
    """
    _expect(stored is None or isinstance(stored, str), "licence", "a name or null")
    licence: str | None = stored
    return licence


def _is_float32(value: Any) -> bool:
    """Is it a number, and a finite one in float32?"""
    return type(value) in (int, float) and abs(value) <= _LARGEST_FLOAT32  # which NaN is not


def _has(value: Any, fields: Mapping[str, tuple[type, ...]]) -> bool:
    """Is it an object with these fields, of one of these types each? True and False are no numbers."""
    return isinstance(value, dict) and all(key in value and type(value[key]) in types for key, types in fields.items())


def _expect(plain: bool, part: str, wanted: str) -> None:
    if not plain:
        raise WeightsError(f"damaged metadata ({part}: expected {wanted})")
