"""Whose class is whose: the classes of a data set found among those that weights know."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alexnet.data.splits import ClassInfo, first_name
from alexnet.errors import DataError

_NAMED_IN_FULL = 3  # unmatched classes listed in an error


def match_classes(wanted: Sequence[ClassInfo], known: Sequence[ClassInfo]) -> NDArray[np.int64]:
    """For each of the `wanted` classes its index among the `known`: by WordNet id, else by name.

    Names compare without case, and `_` as a blank, first as a whole and then by the first of their synonyms; one that
    two known classes share (ImageNet has two `crane`s) does not match unless both lists are the same. Where one side
    has only numbers for names, and the counts agree, classes that nothing else matches go by position.

    Raises:
        DataError: names some of the classes that nothing matches, or two that match the same one.
    """
    by_position = np.arange(len(wanted), dtype=np.int64)
    if [_plain(info.name) for info in wanted] == [_plain(info.name) for info in known]:
        return by_position
    index_of = _index_by_key(known)
    found = [_match(info, known, index_of) for info in wanted]
    unmatched = [_called(info) for info, index in zip(wanted, found, strict=True) if index is None]
    if not unmatched:
        indices = np.array(found, dtype=np.int64)
        _refuse_shared(wanted, known, indices)
        return indices
    if len(wanted) == len(known) and (_numbered(wanted) or _numbered(known)):
        return by_position
    few = ", ".join(unmatched[:_NAMED_IN_FULL])
    more = f" and {len(unmatched) - _NAMED_IN_FULL} more" if len(unmatched) > _NAMED_IN_FULL else ""
    raise DataError(
        f"{len(unmatched)} of the data's {len(wanted)} classes are not among the {len(known)} of the weights: "
        f"{few}{more}; name them by WordNet id or as the weights do, or leave them out"
    )


def find_classes(wanted: Sequence[ClassInfo], known: Sequence[ClassInfo]) -> NDArray[np.int64] | None:
    """`match_classes`, or None where not all of the `wanted` are known."""
    try:
        return match_classes(wanted, known)
    except DataError:
        return None


def _refuse_shared(wanted: Sequence[ClassInfo], known: Sequence[ClassInfo], indices: NDArray[np.int64]) -> None:
    first: dict[int, str] = {}
    for info, index in zip(wanted, indices.tolist(), strict=True):
        if index in first:
            raise DataError(
                f"the data's classes {first[index]!r} and {info.name!r} are both {known[index].name!r} to the weights; "
                "rename or join them"
            )
        first[index] = info.name


def _match(info: ClassInfo, known: Sequence[ClassInfo], index_of: dict[str, int]) -> int | None:
    if info.wnid in index_of:
        return index_of[info.wnid]
    names = (_plain(info.name), _plain(first_name(info.name)))  # a folder's name may be a WordNet id
    index = next((index_of[name] for name in names if name in index_of), None)
    if index is not None and info.wnid and known[index].wnid:
        return None  # two ids that differ: the same word for two things
    return index


def _index_by_key(classes: Sequence[ClassInfo]) -> dict[str, int]:
    """WordNet ids and plain names to indices, and first synonyms that are no class's name, each without the keys that
    several classes share.
    """
    whole = [{info.wnid or "", _plain(info.name)} - {""} for info in classes]
    names = {key for keys in whole for key in keys}
    first = [{_plain(first_name(info.name))} - names for info in classes]
    return _unshared(whole) | _unshared(first)


def _unshared(keys_of: Sequence[set[str]]) -> dict[str, int]:
    count = Counter(key for keys in keys_of for key in keys)
    return {key: index for index, keys in enumerate(keys_of) for key in keys if count[key] == 1}


def _called(info: ClassInfo) -> str:
    """As its folder, which is to be renamed or left out, and as people do."""
    name = first_name(info.name)
    return f"{info.wnid} ({name})" if info.wnid and info.wnid != name else name


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def _numbered(classes: Sequence[ClassInfo]) -> bool:
    return all(info.name.isdecimal() and info.wnid is None for info in classes)
