"""The files that are changed are good ones, and the limits that are lowered are there."""

from pathlib import Path

import pytest
from tests.fuzz.fuzzer import _put
from tests.fuzz.targets import TARGETS, Target
from tests.weights.conftest import PUBLISHED, narrow

from alexnet.arch import NETS
from alexnet.errors import MissingExtraError


def test_a_limit_that_is_gone_is_found_out() -> None:
    with pytest.raises(AttributeError, match=r"alexnet\.weights\.packed has no NOTHING"):
        Target(opens="a", modules=(), seeds=list, limits={"weights.packed.NOTHING": 1}).lower_limits()


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_seed_is_a_good_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed in a file that is refused anyway finds nothing."""
    for net in PUBLISHED:
        monkeypatch.setitem(NETS, net, narrow(NETS[net]))
    target = TARGETS[name]
    try:
        _put(tmp_path, target.seeds()[0])
        for read in target.reads:
            read(tmp_path / target.opens)
    except (MissingExtraError, ModuleNotFoundError) as error:
        pytest.skip(str(error))
