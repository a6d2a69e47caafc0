from pathlib import Path
from tempfile import gettempdir

import pytest

from alexnet.data.cache import cache_dir, sampled_digest


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALEXNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_nearest_setting_says_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_dir() == Path.home() / ".cache" / "alexnet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "alexnet"
    monkeypatch.setenv("ALEXNET_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"


def test_a_user_without_a_home_has_a_cache_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that runs under a number of which its system knows nothing."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert cache_dir() == Path(gettempdir()) / "alexnet"


@pytest.mark.parametrize("size", [0, 1, 100, 300_000])
def test_a_digest_tells_sizes_and_both_ends_apart(tmp_path: Path, size: int) -> None:
    def digest(content: bytes) -> str:
        (tmp_path / "file").write_bytes(content)
        return sampled_digest(tmp_path / "file")

    content = bytes(size)
    contents = {content, content + b"\0", b"x" + content[1:], content[:-1] + b"x"}
    assert len({digest(each) for each in contents}) == len(contents)
    assert digest(content) == digest(content)
