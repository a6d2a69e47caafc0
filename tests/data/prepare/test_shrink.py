import pytest

from alexnet.data.prepare.shrink import Job
from alexnet.data.trees import Entry


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("cat/n01440764_10026.JPEG", "train-0000012-n01440764_10026"),
        ("cat/dots.in it.jpg", "train-0000012-dots_in_it"),
        ("cat/new\nline\udce9.jpg", "train-0000012-new_line_"),
        ("x/" + "long" * 50 + ".png", "train-0000012-" + "long" * 10),
        ("digits/0001", "train-0000012-0001"),
    ],
)
def test_keys_are_plain_short_and_tell_the_file(path: str, key: str) -> None:
    """Names of up to 100 bytes fit the oldest tar header: every reader takes them."""
    assert Job("train-0000012", 0, Entry(path)).key == key
    assert len(f"{key}.jpg") < 100
