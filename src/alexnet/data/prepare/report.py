"""The files that end a preparation, and what they say of it later.

`classes.json` and `statistics.npz` are what training needs; `damaged.jsonl` lists the images that were left out, if
any; `prepared.json`, written last, says that all is there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from alexnet.atomic import write_whole
from alexnet.data.cache import sampled_digest
from alexnet.data.damaged import ALWAYS_BORNE
from alexnet.data.prepare.ledger import Ledger
from alexnet.data.prepare.shrink import Damaged
from alexnet.data.prepared import CLASSES, DAMAGED, PREPARED, STATISTICS
from alexnet.errors import DataError

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was made of what. `odd` and `damaged` count images by kind; `shards` has the digest of every file.

    `unlabelled` images have no class; `passed_over` counts, in folders, the files that are no images by their suffix.
    """

    settings: Mapping[str, Any]
    images: Mapping[str, int]
    classes: int
    odd: Mapping[str, int]
    damaged: Mapping[str, int]
    unlabelled: int
    passed_over: Mapping[str, int]
    shards: Mapping[str, str]

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """Of finished work."""
        return cls(
            settings=ledger.fact("settings"),
            images=ledger.images_by_split(),
            classes=len(ledger.fact("classes")),
            odd=ledger.odd_kinds(),
            damaged=ledger.damaged_kinds(),
            unlabelled=ledger.fact("unlabelled"),
            passed_over=ledger.fact("passed_over"),
            shards=ledger.digests(),
        )

    def save(self, folder: Path) -> None:
        """Write `prepared.json`. Raises `OSError`."""
        with write_whole(folder / PREPARED) as part:
            part.write_text(json.dumps({"format": _FORMAT, **vars(self)}, indent=2) + "\n", encoding="ascii")

    def spoilt(self, folder: Path) -> str | None:
        """The first file of the preparation that is gone, or a shard that is not as it was; None if all is well."""
        tables = [CLASSES, *([STATISTICS] if self.images.get("train") else [])]
        lost = (name for name in tables if not (folder / name).is_file())
        changed = (name for name, digest in self.shards.items() if not is_as_written(folder / name, digest))
        return next(chain(lost, changed), None)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where it has not.

        Raises:
            DataError: a file that another version, or something else, has written.
        """
        path = folder / PREPARED
        if not path.is_file():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != _FORMAT:
                raise ValueError("another format")
            return cls(**values)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DataError(f"{path}: not written by this version of alexnet prepare ({error})") from None


def is_as_written(shard: Path, digest: str) -> bool:
    """Whether the file of a shard is there and still has this digest."""
    return shard.is_file() and sampled_digest(shard) == digest


def check_result(ledger: Ledger, folder: Path, max_damaged: float) -> None:
    """Refuse a result that a person would not want to train on. All work is kept.

    Raises:
        DataError: a class or split without images, or more damaged images than allowed.
    """
    write_damaged(ledger, folder)
    listed = f"{folder / DAMAGED} lists them"
    if empty := [split for split, count in ledger.images_by_split().items() if count == 0]:
        raise DataError(f"every image of {empty[0]} is damaged; {listed}. Repair them, and prepare into another folder")
    if lost := ledger.empty_classes():
        name = ledger.fact("classes")[lost[0]]["name"]
        raise DataError(
            f"every image of class {name} is damaged; {listed}. Repair them, and prepare into another folder"
        )
    num_damaged, num_images = sum(ledger.damaged_kinds().values()), ledger.num_images()
    if num_damaged > max(ALWAYS_BORNE, max_damaged * num_images):
        raise DataError(
            f"{num_damaged:,} of {num_images:,} images are damaged; {listed}. "
            "Give --max-damaged 1 to the same command to go on without them"
        )


def write_results(ledger: Ledger, folder: Path) -> Report:
    """All files that end a preparation. Raises `OSError`."""
    with write_whole(folder / CLASSES) as part:
        part.write_text(json.dumps(ledger.fact("classes"), indent=1) + "\n", encoding="ascii")
    if sums := ledger.sums():
        sums.statistics().save(folder / STATISTICS)
    report = Report.of(ledger)
    report.save(folder)
    return report


def write_damaged(ledger: Ledger, folder: Path) -> None:
    """One JSON object a line; no file where no image was left out. Raises `OSError`."""
    if not ledger.damaged_kinds():
        return
    with write_whole(folder / DAMAGED) as part, part.open("w", encoding="ascii") as file:
        file.writelines(json.dumps(each._asdict()) + "\n" for each in ledger.damaged())


def read_damaged(folder: Path) -> Iterator[Damaged]:
    """What `write_damaged` wrote."""
    if (folder / DAMAGED).exists():
        with (folder / DAMAGED).open(encoding="ascii") as file:
            yield from (Damaged(**json.loads(line)) for line in file)
