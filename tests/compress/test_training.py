from pathlib import Path

import pytest

from alexnet.compress.options import CompressOptions
from alexnet.compress.training import Runs
from alexnet.data.datasets import open_data
from alexnet.errors import InputError
from alexnet.train.observer import Silent

pytest.importorskip("sklearn")

SETTINGS = {"--mib": 0.5, "--epochs": 8}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    options = CompressOptions(data="digits")
    return Runs(destination=tmp_path / "s.safetensors", options=options, dataset=open_data("digits"), observer=Silent())


@pytest.fixture
def begun(runs: Runs) -> Runs:
    runs.begin(SETTINGS, resume=False)
    for name in ("pruned", "shared"):
        (runs.folder / name).mkdir()
        (runs.folder / name / "run.json").write_text("{}")
    return runs


def test_runs_that_are_there_are_gone_on_with_on_purpose_only(begun: Runs) -> None:
    begun.begin(SETTINGS, resume=True)
    with pytest.raises(
        InputError, match=r"runs has what was begun for s\.safetensors; go on with --resume, or delete it"
    ):
        begun.begin(SETTINGS, resume=False)


@pytest.mark.parametrize(
    ("other", "words"),
    [({"--mib": 0.3}, "was begun with --mib 0.5, not 0.3"), ({"--epochs": 7}, "was begun with --epochs 8, not 7")],
)
def test_other_settings_are_refused_as_they_were_given(begun: Runs, other: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        begun.begin(SETTINGS | other, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_where_no_run_was_begun_other_settings_are_taken(runs: Runs, resume: bool) -> None:
    """As after data that could not be used."""
    runs.begin(SETTINGS, resume=False)
    runs.begin(SETTINGS | {"--epochs": 7}, resume=resume)
    assert '"--epochs": 7' in (runs.folder / "compress.json").read_text()


def test_a_file_that_is_made_already_is_not_made_again_by_resume(runs: Runs) -> None:
    runs.destination.touch()
    with pytest.raises(InputError, match=r"s\.safetensors is made already; leave --resume out to make it again"):
        runs.begin(SETTINGS, resume=True)
    runs.begin(SETTINGS, resume=False)


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_missing_and_damaged_settings_are_one_line(begun: Runs, content: str | None) -> None:
    path = begun.folder / "compress.json"
    path.write_text(content) if content else path.unlink()
    with pytest.raises(InputError, match=r"compress\.json is missing or damaged; delete"):
        begun.begin(SETTINGS, resume=True)


def test_a_file_where_the_folder_would_be_is_refused(runs: Runs) -> None:
    runs.folder.write_text("")
    with pytest.raises(InputError, match="is a file, where runs would be kept"):
        runs.begin(SETTINGS, resume=False)


@pytest.mark.parametrize("name", ["notes.txt", None])
def test_what_others_put_into_the_folder_stays(begun: Runs, name: str | None) -> None:
    if name:
        (begun.folder / name).write_text("a user's own")
    begun.remove()
    assert begun.folder.exists() == bool(name)
    assert not name or [path.name for path in begun.folder.iterdir()] == [name]
