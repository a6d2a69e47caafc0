"""What stands between a machine and its kernels, and that every obstacle is one line."""

import shutil
import sys
from pathlib import Path

import pytest

from alexnet.nn.native import compiler
from alexnet.nn.native.compiler import CannotCompileError, find_compiler, load_compiled

SOURCE = '#include "three.hpp"\nextern "C" int seven() { return THREE + 4; }\n'

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, compiler.COMPILERS)), reason=f"needs one of {', '.join(compiler.COMPILERS)}"
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "kernels.cpp").write_text(SOURCE)
    (folder / "three.hpp").write_text("#define THREE 3\n")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "native"


@needs_compiler
def test_a_library_is_compiled_once_and_again_when_a_source_changes(
    sources: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_compiled(sources).seven() == 7
    (kept,) = cache.glob("*.so")
    with monkeypatch.context() as patch:
        patch.setattr(compiler, "_compile", lambda *_: pytest.fail("compiled again"))
        assert load_compiled(sources).seven() == 7
    (sources / "three.hpp").write_text("#define THREE 5\n")
    assert load_compiled(sources).seven() == 9
    assert len(list(cache.glob("*.so"))) == 2
    assert kept.stat().st_mode & 0o022 == 0


@needs_compiler
def test_a_cache_that_takes_nothing_is_done_without(sources: Path, cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    assert load_compiled(sources).seven() == 7


@needs_compiler
def test_a_library_that_others_could_have_written_is_not_loaded(sources: Path, cache: Path) -> None:
    load_compiled(sources)
    (kept,) = cache.glob("*.so")
    kept.unlink()  # it is loaded: bytes written into it would be run
    kept.write_bytes(b"somebody else's")
    kept.chmod(0o666)
    assert load_compiled(sources).seven() == 7
    assert kept.read_bytes() != b"somebody else's"


@needs_compiler
def test_the_compilers_own_words_say_why_it_fails(sources: Path) -> None:
    (sources / "kernels.cpp").write_text("this is not C++\n")
    with pytest.raises(CannotCompileError, match=r"fails \(.*error.*\)") as caught:
        load_compiled(sources)
    assert "\n" not in str(caught.value)


@needs_compiler
def test_what_cannot_be_loaded_is_said(sources: Path) -> None:
    (sources / "kernels.cpp").write_text('extern "C" void nowhere(); extern "C" void seven() { nowhere(); }\n')
    with pytest.raises(CannotCompileError, match="cannot be loaded"):
        load_compiled(sources)


def test_without_a_compiler_the_names_that_were_looked_for_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotCompileError, match=r"no C\+\+ compiler"):
        find_compiler()


def test_the_compiler_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "ccache my-c++ -m64")
    assert find_compiler() == ["ccache", "my-c++", "-m64"]


@pytest.mark.parametrize(
    ("command", "words"),
    [("/no/such/compiler", "does not run"), (f"{sys.executable} -c 'raise SystemExit(1)'", "fails")],
)
def test_a_compiler_that_is_none_is_said(
    sources: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.setenv("CXX", command)
    with pytest.raises(CannotCompileError, match=words):
        load_compiled(sources)


@needs_compiler
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_a_library_that_has_been_spoiled_is_made_again(
    share: float, sources: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a library is not even tried: to load it would end the process."""
    load_compiled(sources)
    (loaded,) = cache.glob("*.so")
    spoiled = tmp_path / "other" / "native" / loaded.name  # elsewhere: a path that is loaded is not read again
    spoiled.parent.mkdir(parents=True)
    whole = loaded.read_bytes()
    spoiled.write_bytes(whole[: int(share * len(whole))])
    shutil.copy(loaded.with_suffix(".sha256"), spoiled.parent)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "other"))
    assert load_compiled(sources).seven() == 7
    assert len(spoiled.read_bytes()) >= len(whole) // 2


@needs_compiler
def test_without_a_place_for_temporary_files_there_is_a_reason(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    with pytest.raises(CannotCompileError, match="no place for temporary files"):
        load_compiled(sources)


@needs_compiler
def test_what_is_in_the_cache_needs_no_place_for_temporary_files(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_compiled(sources)
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    assert load_compiled(sources).seven() == 7


def test_a_command_that_cannot_be_taken_apart_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", 'c++ "')
    with pytest.raises(CannotCompileError, match="CXX is no command"):
        find_compiler()
