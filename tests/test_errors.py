import pytest

from alexnet.errors import AlexNetError, MissingExtraError, UnknownNameError, WeightsError


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\u2028", "\x85", "\x0b"])
def test_an_error_is_one_line_whatever_a_file_calls_its_tensors(ends: str) -> None:
    assert str(WeightsError(f"unknown a{ends}b")) == "unknown a b"
    assert str(UnknownNameError("net", f"a{ends}b", ["c"])).count("\n") == 0


def test_an_error_has_nothing_that_a_terminal_obeys() -> None:
    assert "\x1b" not in str(AlexNetError("a\x1b[2Jb"))


def test_other_letters_stay() -> None:
    assert str(AlexNetError("café 東京 – ×")) == "café 東京 – ×"


def test_a_missing_extra_says_what_to_install() -> None:
    assert str(MissingExtraError("PyTorch", "train")).endswith("pip install 'alexnet[train]'")
