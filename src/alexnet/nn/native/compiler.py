"""C++ compiled for the processor at hand, once: the library is kept in the cache and found again by all it depends on.

The kernels run on torch's own threads: they are compiled for OpenMP but not linked to it, so that the loader finds the
functions in the library that torch has brought.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.atomic import write_whole
from alexnet.data.cache import cache_dir

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
LIMIT_SECONDS = 120  # ours: it takes one or two


class CannotCompileError(Exception):
    """No compiler, or one that fails; `str()` says which and why."""


MAIN = "kernels.cpp"


def load_compiled(sources: Path) -> ctypes.CDLL:
    """The library of a folder of C++ (`kernels.cpp` and what it includes), from the cache, or compiled now.

    A cache that cannot be written costs some seconds at every start.

    Raises:
        CannotCompileError: there is no compiler, it fails, or what it makes cannot be loaded.
    """
    compiler = find_compiler()
    library = cache_dir() / "native" / f"{Path(MAIN).stem}-{_fingerprint(sources, compiler)}.so"
    if _is_ours(library) and _is_whole(library):
        with suppress(OSError):
            return ctypes.CDLL(str(library))
    with _scratch() as folder:
        made = _keep(_compile(sources / MAIN, compiler, folder), library)
        try:
            return ctypes.CDLL(str(made))
        except OSError as error:
            raise CannotCompileError(f"what {compiler[0]} made cannot be loaded ({error})") from None


def find_compiler() -> list[str]:
    """The command of the C++ compiler: $CXX, else the first that is installed.

    Raises:
        CannotCompileError: there is none, or $CXX is no command.
    """
    try:
        own = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise CannotCompileError(f"CXX is no command ({error})") from None
    if own:
        return own
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise CannotCompileError(f"there is no C++ compiler ({', '.join(COMPILERS)})")


@contextmanager
def _scratch() -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix="alexnet-", ignore_cleanup_errors=True)
    except OSError as error:
        raise CannotCompileError(f"there is no place for temporary files ({error.strerror})") from None
    with folder as path:
        yield Path(path)


def _compile(source: Path, compiler: list[str], folder: Path) -> Path:
    made, library = folder / "kernels.o", folder / "kernels.so"
    _run([*compiler, *FLAGS, "-c", str(source), "-o", str(made)])
    _run([*compiler, "-shared", str(made), "-o", str(library)])
    return library


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompileError(f"{command[0]} does not run ({error})") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise CannotCompileError(f"{command[0]} fails ({lines[0].strip()})")
    return done.stdout


def _keep(made: Path, library: Path) -> Path:
    """`made` in the cache, or where it is if the cache takes nothing."""
    with suppress(OSError):
        library.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with write_whole(library) as part:
            shutil.copyfile(made, part)
        with write_whole(_digest_file(library)) as part:
            part.write_text(_digest(made))
        if _is_ours(library):
            return library
    return made


def _is_whole(library: Path) -> bool:
    """Is it what was made? To load a part of a library ends the process, so a bad disk must be noticed before."""
    with suppress(OSError):
        return _digest_file(library).read_text() == _digest(library)
    return False


def _digest_file(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _digest(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def _is_ours(library: Path) -> bool:
    """Is it there, and can nobody else have written it? A cache may lie in a folder that all users share."""
    with suppress(OSError):
        return all(
            about.st_uid == os.getuid() and not about.st_mode & 0o022
            for about in (library.stat(), library.parent.stat())
        )
    return False


def _fingerprint(sources: Path, compiler: list[str]) -> str:
    """A name for everything that the library follows from."""
    parts = (
        *(file.read_text() for file in sorted(sources.glob("*.?pp"))),
        *compiler,
        _run([*compiler, "--version"]),
        *FLAGS,
        _processor(),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """What this processor can do; a home folder may be shared by machines that differ."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {platform.processor()}"
