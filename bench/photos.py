"""Thousands of photographs out of a few: links under other names, for benchmarks that need many files."""

import os
from pathlib import Path

PHOTOS = Path(__file__).resolve().parents[2] / "shared/data/imagenet-samples"


def link_photos(target: Path, num_images: int, photos: Path = PHOTOS) -> Path:
    """A tree of class folders at `target` that holds `num_images` links to the files of another such tree."""
    files = sorted(path for path in photos.glob("*/*") if path.is_file())
    if not files:
        raise SystemExit(f"{photos}: no photographs in class folders; name a folder that has some")
    for number in range(num_images):
        round_number, which = divmod(number, len(files))
        file = files[which]
        link = target / file.parent.name / f"{file.stem}-{round_number}{file.suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(file, link)  # noqa: PTH211 (target first reads better)
    return target
