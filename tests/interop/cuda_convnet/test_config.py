"""What is written into sections, and what is not."""

from pathlib import Path

import pytest

from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.config import read_sections


@pytest.mark.parametrize(("typed", "meant"), [("neurn", "neuron"), ("filterSiz", "filtersize"), ("wbal", "wball")])
def test_a_mistyped_key_is_named_with_its_line_and_the_nearest(typed: str, meant: str, tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    path.write_text(f"[conv1]\ntype=conv\n{typed}=1\n")
    with pytest.raises(InputError, match=rf"a\.cfg, line 3, layer conv1, {typed.lower()}: .* did you mean {meant}\?"):
        read_sections(path)


def test_keys_that_look_like_none_are_passed_over_as_in_2012(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("[conv1]\ntype=conv\nremark=mine\nsched=exp[2,0]\n")
    assert "remark" in read_sections(tmp_path / "a.cfg")["conv1"]
