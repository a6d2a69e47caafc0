"""What is asked of a preparation."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alexnet.data.damaged import MOST_DAMAGED
from alexnet.data.ilsvrc import ClassOrder, find_ground_truth
from alexnet.errors import InputError
from alexnet.preprocess import Resize

Fit = Literal["center", "warp"]


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How images become shards.

    size: side of the square images, in pixels. fit: `center`, the shorter side becomes that and the central square is
    kept (2012); `warp`, whatever the aspect (Caffe). quality: of JPEG, 1 to 100. max_damaged: share of the images that
    may be left out.

    Raises:
        InputError: a number outside its range.
    """

    size: int = 256
    fit: Fit = "center"
    quality: int = 95
    shard_images: int = 2000
    ground_truth: Path | None = None
    class_order: ClassOrder = "sorted"
    max_damaged: float = MOST_DAMAGED

    def __post_init__(self) -> None:
        for name, least, most in (("size", 1, 4096), ("quality", 1, 100), ("shard_images", 1, 10**6)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{name} is from {least} to {most:,}, not {getattr(self, name)}")
        if not 0 <= self.max_damaged <= 1:
            raise InputError(f"max_damaged is a share from 0 to 1, not {self.max_damaged}")

    @property
    def resize(self) -> Resize:
        """As a training run would ask for it."""
        return (self.size, self.size) if self.fit == "warp" else self.size

    def settings(self, source: str) -> dict[str, Any]:
        """All that decides the bytes of the result, as plain JSON; what a resumed preparation must share.

        A ground truth counts by its content too, whether it was given or lies beside the images.
        """
        root = Path(source) if Path(source).is_dir() else Path(source).parent
        truth = self.ground_truth or find_ground_truth(root)
        return {
            "source": source,
            "size": self.size,
            "fit": self.fit,
            "quality": self.quality,
            "shard_images": self.shard_images,
            "class_order": self.class_order,
            "ground_truth": str(self.ground_truth.resolve()) if self.ground_truth else None,
            **({"ground_truth_sha256": digest} if truth and (digest := _sha256(truth)) else {}),
        }


def _sha256(ground_truth: Path) -> str | None:
    """Of a file, or of the one in an unpacked development kit; None where there is none to be read."""
    path = find_ground_truth(ground_truth) if ground_truth.is_dir() else ground_truth
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else None
    except OSError:  # who needs it says so
        return None


def check_settings(found: dict[str, Any], asked: dict[str, Any], where: Path) -> None:
    """Refuse to go on with another preparation than the one in `where`. What one of them cannot tell is not compared.

    Raises:
        InputError: names the first setting that differs.
    """
    for name, value in asked.items():
        if name in found and found[name] != value:
            raise InputError(
                f"{where} was begun with {name} {json.dumps(found[name])}, not {json.dumps(value)}; "
                "give the same again, or choose another folder"
            )
