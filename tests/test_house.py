"""The house around the package: versions agree, dependencies are explained and pinned, the right files ship."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import alexnet

ROOT = Path(__file__).resolve().parent.parent
PROJECT_TEXT = (ROOT / "pyproject.toml").read_text("utf-8")
PROJECT = tomllib.loads(PROJECT_TEXT)["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")

# Tests of the whole house mirror no single file.
WHOLE_HOUSE = {
    "test_hostile_weights",
    "test_house",
    "test_imports",
    "test_docs",
    "test_names",
    "test_peers",
    "test_public_names",
    "test_shared_runs",
    "test_views",
    "test_examples",
    "test_hubconf",
}
# What a CUDA build of torch adds; torch itself names their versions.
CUDA = re.compile(r"(nvidia|cuda)-|triton$")
MAX_BYTES = 9 * 2**20
# What would run the code in a file of others, or write where an archive of others says.
UNSAFE = re.compile(
    r"(\b(import|from) c?[pP]ickle\b|\b(marshal|shelve|dill|joblib)\.|allow_pickle=True|\byaml\.(unsafe_)?load\("
    r"|\bextractall\(|shell=True|\bos\.system\(|(?<![\w.])(eval|exec)\(|\btorch\.load\((?!.*weights_only=True))"
)


def git_files() -> list[Path]:
    """Everything that is or would be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in sorted(set(done.stdout.split("\0")) - {""}) if (path := ROOT / name).is_file()]


def test_every_page_names_the_same_version() -> None:
    """pyproject, the package, the newest entry of the changelog and the citation."""
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert cited is not None
    assert [alexnet.__version__, newest[1], cited[1]] == [PROJECT["version"]] * 3


def test_every_dependency_says_why() -> None:
    extras = PROJECT["optional-dependencies"].values()
    named = {line for group in [PROJECT["dependencies"], *extras] for line in group if not line.startswith("alexnet[")}
    explained = set(re.findall(r'^ +"([^"]+)", *# \S', PROJECT_TEXT, re.MULTILINE))
    assert named <= explained


def test_every_installed_dependency_is_pinned() -> None:
    """What pyproject asks for in any extra, and all that this asks for in turn."""
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==\S+$", CONSTRAINTS, re.MULTILINE)}
    extras = PROJECT["optional-dependencies"].values()
    waiting = [Requirement(line) for group in [PROJECT["dependencies"], *extras] for line in group]
    needed: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ["", *requirement.extras]:
            if name == "alexnet" or CUDA.match(name) or (name, extra) in seen:
                continue
            seen.add((name, extra))
            needed.add(name)
            try:
                lines = metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # an extra that is not installed here: its own pin is all we can ask
                continue
            asked = [Requirement(line) for line in lines]
            waiting += [each for each in asked if not each.marker or each.marker.evaluate({"extra": extra})]
    assert needed <= pinned


def test_every_line_of_constraints_is_one_exact_public_version() -> None:
    """A local part such as +cpu exists on one platform only."""
    lines = CONSTRAINTS.splitlines()
    assert lines[0].startswith("# Made by `make constraints`")
    assert [line for line in lines[1:] if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)] == []


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Types, tables and pages as well as code; and the licence, but no tests."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = {name.rpartition("/")[2] for name in archive.namelist()} - {name.rpartition("/")[2] for name in held}
    source = ROOT / "src"
    assert "alexnet/py.typed" in held
    assert held == {path.relative_to(source).as_posix() for path in git_files() if path.is_relative_to(source)}
    assert {"LICENSE", "NOTICE"} <= about


def test_nothing_in_the_package_runs_what_others_wrote() -> None:
    sources = {path: path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")}
    found = [f"{path}: {match[0]}" for path, text in sources.items() for match in UNSAFE.finditer(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from pickle import loads", "import cPickle", "np.load(path, allow_pickle=True)"),
        *("torch.load(path)", 'torch.load(path, map_location="cpu")', "yaml.load(text)", "tar.extractall(folder)"),
        *("eval(text)", "x = exec(text)", "run(line, shell=True)", "os.system(line)", "joblib.load(path)"),
    ],
)
def test_unsafe_lines_are_found(line: str) -> None:
    assert UNSAFE.search(line)


@pytest.mark.parametrize(
    "line",
    ["net.eval()", 'torch.load(path, map_location="cpu", weights_only=True)', "load_pickle(path)", "def eval_(x)"],
)
def test_safe_lines_pass(line: str) -> None:
    assert not UNSAFE.search(line)


def test_no_file_is_larger_than_nine_mebibytes() -> None:
    assert [str(path) for path in git_files() if path.stat().st_size > MAX_BYTES] == []


def test_the_test_tree_mirrors_the_package() -> None:
    """tests/data/test_folder.py tests src/alexnet/data/folder.py, or a folder of that name; or what lies beside it."""
    orphans = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        name = file.stem.removeprefix("test_")
        tested = ROOT / "src/alexnet" / file.parent.relative_to(ROOT / "tests") / name
        modules = (tested.with_suffix(".py"), file.with_name(f"{name}.py"))
        if not (file.stem in WHOLE_HOUSE or tested.is_dir() or any(module.exists() for module in modules)):
            orphans.append(str(file.relative_to(ROOT)))
    assert not orphans, f"rename these after what they test, or add them to WHOLE_HOUSE: {', '.join(orphans)}"


def test_one_command_checks_everything() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "check test" in script.read_text("utf-8")
