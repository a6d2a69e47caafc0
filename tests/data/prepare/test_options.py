from pathlib import Path

import pytest

from alexnet.data.ilsvrc import GROUND_TRUTH
from alexnet.data.prepare.options import PrepareOptions, check_settings
from alexnet.errors import InputError


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": 5000}, {"quality": 0}, {"quality": 101}, {"shard_images": 0}, {"max_damaged": 1.5}]
)
def test_numbers_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    [name] = wrong
    with pytest.raises(InputError, match=f"{name} is "):
        PrepareOptions(**wrong)  # type: ignore[arg-type]


def test_all_that_decides_the_bytes_is_compared() -> None:
    begun = PrepareOptions().settings("photos")
    check_settings(begun, PrepareOptions(max_damaged=1.0).settings("photos"), Path("out"))
    for other in (
        PrepareOptions(size=128).settings("photos"),
        PrepareOptions(fit="warp").settings("photos"),
        PrepareOptions(quality=90).settings("photos"),
        PrepareOptions(shard_images=10).settings("photos"),
        PrepareOptions(class_order="devkit").settings("photos"),
        PrepareOptions(ground_truth=Path("truth.txt")).settings("photos"),
        PrepareOptions().settings("paintings"),
    ):
        with pytest.raises(InputError, match="out was begun with"):
            check_settings(begun, other, Path("out"))


@pytest.mark.parametrize("given", [True, False], ids=["given", "found beside"])
def test_a_ground_truth_counts_by_its_content(tmp_path: Path, given: bool) -> None:
    truth = tmp_path / GROUND_TRUTH
    options = PrepareOptions(ground_truth=truth if given else None)
    truth.write_text("1\n2\n")
    begun = options.settings(str(tmp_path))
    check_settings(begun, options.settings(str(tmp_path)), Path("out"))
    truth.write_text("2\n1\n")
    with pytest.raises(InputError, match="out was begun with ground_truth_sha256"):
        check_settings(begun, options.settings(str(tmp_path)), Path("out"))
