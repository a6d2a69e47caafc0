"""The two runs that make a net small, in a folder beside the file, until that is written."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from alexnet.atomic import write_whole
from alexnet.compress.options import CompressOptions
from alexnet.data.prepare.options import check_settings
from alexnet.data.splits import DataSet
from alexnet.errors import InputError
from alexnet.train.observer import Observer
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.train.saver import LAST
from alexnet.weights import Weights, find_weights
from alexnet.weights.catalog import RUN_FILE

PRUNED, SHARED = "pruned", "shared"

_SUFFIX, _SETTINGS = ".runs", "compress.json"


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Those that are asked for in `options`, on `dataset`, for the file `destination`."""

    destination: Path
    options: CompressOptions
    dataset: DataSet
    observer: Observer

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self.destination.with_name(self.destination.name + _SUFFIX)

    def begin(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """See that what is in the folder may be gone on with, and keep what is asked for there where nothing is.

        Raises:
            InputError: runs are there that are not to be resumed, or that were begun with other settings; or there is
                nothing to resume, the file being there; or the folder is a file.
            OSError: the folder cannot be written.
        """
        if not (self.folder / PRUNED / RUN_FILE).exists():
            if resume and self.destination.exists():
                raise InputError(f"{self.destination} is made already; leave --resume out to make it again")
            if self.folder.is_file():
                raise InputError(f"{self.folder} is a file, where runs would be kept; move it elsewhere")
            self.folder.mkdir(exist_ok=True)
            with write_whole(self.folder / _SETTINGS) as temporary:
                temporary.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        elif resume:
            check_settings(self._read_settings(), dict(settings), self.folder)
        else:
            raise InputError(
                f"{self.folder} has what was begun for {self.destination.name}; go on with --resume, or delete it"
            )

    def train(
        self, name: str, source: str | Path, *, epochs: int, lr: float | None, seed: int, **constraint: Any
    ) -> Weights:
        """What the run of that name makes of the weights at `source` under a constraint of `RunOptions`.

        One that was begun goes on as it was begun, and gives its weights at once where it had ended.
        """
        folder, options = self.folder / name, self.options
        is_begun = (folder / RUN_FILE).exists()
        asked = RunOptions(
            data=str(options.data),
            weights=str(source),
            epochs=epochs,
            batch_size=options.batch_size,
            lr=lr,
            seed=seed,
            precision=options.precision,
            limit_train_batches=options.limit_train_batches,
            **constraint,
        )
        train(
            RunOptions(data=asked.data) if is_begun else asked,
            self.observer,
            dataset=self.dataset,
            out=folder,
            resume=is_begun,
            device=options.device,
            workers=options.workers,
        )
        return find_weights(folder / LAST)  # not the best of its epochs: those before the last were larger

    def remove(self) -> None:
        """Delete them; what others have put into the folder stays."""
        for name in (PRUNED, SHARED):
            rmtree(self.folder / name)
        (self.folder / _SETTINGS).unlink()
        with suppress(OSError):  # it is not empty
            self.folder.rmdir()

    def _read_settings(self) -> dict[str, Any]:
        path = self.folder / _SETTINGS
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise InputError(f"{path} is missing or damaged; delete {self.folder} and begin again") from None
