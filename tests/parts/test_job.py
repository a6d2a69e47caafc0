from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from alexnet.errors import DataError, ImageError, InputError
from alexnet.parts.job import MANIFEST, Job, JobInterrupt, Part, Process, check_damage, this_process, work


@dataclass
class Said:
    images: int
    errors: tuple[tuple[str, str], ...] = ()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        folder=tmp_path / "new/parts", suffix=".txt", facts={"job": "x", "top": 5}, num_images=23, images_per_part=5
    )


def make(part: Part) -> None:
    part.path.write_text(f"{part.stop - part.start} whole")


def read(path: Path) -> Said:
    number, *whole = path.read_text().split()
    if not whole:
        raise DataError("cut")
    return Said(int(number))


def test_parts_are_cut_by_the_images_alone(job: Job) -> None:
    assert [part.path.name for part in job.parts] == [f"part-0000{number}-of-00005.txt" for number in range(5)]
    assert [number for part in job.parts for number in part.indices.tolist()] == list(range(23))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_processes_makes_every_part_once(job: Job, count: int) -> None:
    made: list[Path] = []

    def note(part: Part) -> None:
        made.append(part.path)
        make(part)

    outcomes = [work(job, Process(rank, count), note, read) for rank in range(count)]
    assert sorted(made) == [part.path for part in job.parts]
    assert sum(outcome.images for outcome in outcomes) == 23
    last = outcomes[-1]
    assert [content.images for content in last.read_all() or ()] == [5, 5, 5, 5, 3]


def test_parts_that_are_there_stay_and_one_cut_off_is_made_again(job: Job) -> None:
    work(job, Process(), make, read)
    job.parts[1].path.unlink()
    job.parts[3].path.write_text("5")
    before = {part.path: part.path.stat().st_mtime_ns for part in job.parts if part.path.exists()}
    skipped: list[int] = []
    outcome = work(job, Process(), make, read, skipped.append)
    assert (outcome.made, outcome.images, skipped) == (2, 23, [5, 5, 3])
    for number in (0, 2, 4):
        assert job.parts[number].path.stat().st_mtime_ns == before[job.parts[number].path]
    assert job.parts[3].path.read_text() == "5 whole"


def test_a_job_that_is_not_done_has_no_result_yet(job: Job) -> None:
    outcome = work(job, Process(1, 2), make, read)
    assert (outcome.job.count_done(), outcome.made, outcome.read_all()) == (2, 2, None)


def test_a_job_that_is_stopped_says_how_far_all_of_it_is(job: Job) -> None:
    def stop(part: Part) -> None:
        if part.start == 15:
            raise KeyboardInterrupt
        make(part)

    work(job, Process(0, 2), make, read)
    with pytest.raises(JobInterrupt, match=r"^4 of 5 parts are in .*parts$"):
        work(job, Process(1, 2), stop, read)


def test_leftovers_of_killed_processes_go_when_all_is_done(job: Job) -> None:
    work(job, Process(0, 2), make, read)
    left = job.folder / ".part-00001-of-00005.txt.0123abcd.tmp"
    left.write_text("half")
    work(job, Process(0, 2), make, read)
    assert left.exists()
    work(job, Process(1, 2), make, read)
    assert not left.exists()


CHANGES: dict[str, tuple[Callable[[Job], Job], str]] = {
    "a fact": (lambda job: replace(job, facts={"job": "x", "top": 3}), "top is 5 there, and 3 here"),
    "one fact more": (lambda job: replace(job, facts={**job.facts, "a": 1}), "a is null there, and 1 here"),
    "other images": (lambda job: replace(job, num_images=24), "images is 23 there, and 24 here"),
    "other data": (lambda job: replace(job, facts={**job.facts, "data": "12ab"}), "holds parts of other data; choose"),
    "other and fewer data": (
        lambda job: replace(job, num_images=9, facts={**job.facts, "data": "12ab"}),
        "images is 23 there, and 9 here",
    ),
    "other parts": (lambda job: replace(job, images_per_part=6), "images_per_part is 5 there, and 6 here"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_job_in_the_folder_is_refused(job: Job, name: str) -> None:
    work(job, Process(), make, read)
    change, words = CHANGES[name]
    with pytest.raises(InputError, match=words):
        work(change(job), Process(), make, read)


def test_a_folder_of_something_else_is_refused(job: Job) -> None:
    job.folder.mkdir(parents=True)
    (job.folder / "thesis.txt").write_text("words")
    with pytest.raises(InputError, match=r"holds something else \(thesis\.txt\)"):
        job.begin()
    assert [path.name for path in job.folder.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match=r"thesis\.txt is a file, not a folder"):
        replace(job, folder=job.folder / "thesis.txt").begin()


@pytest.mark.parametrize("content", ["", "words", "[]", "{}", "[" * 9999, "\0"])
def test_a_manifest_that_is_none_is_one_line(job: Job, content: str) -> None:
    job.begin()
    (job.folder / MANIFEST).write_text(content)
    with pytest.raises(InputError, match="choose another --out"):
        job.begin()


def test_several_processes_may_begin_at_once(job: Job) -> None:
    for _ in range(20):
        barrier, failures = Barrier(4), list[BaseException]()

        def begin(barrier: Barrier = barrier, failures: list[BaseException] = failures) -> None:
            barrier.wait()
            try:
                job.begin()
            except BaseException as error:
                failures.append(error)

        threads = [Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [path.name for path in job.folder.iterdir()] == [MANIFEST]
        (job.folder / MANIFEST).unlink()


def test_no_images_and_no_size_are_refused(job: Job) -> None:
    with pytest.raises(DataError, match="no images"):
        replace(job, num_images=0)
    with pytest.raises(InputError, match="at least 1"):
        replace(job, images_per_part=0)


def test_a_part_of_damaged_images_is_refused_and_a_few_are_borne() -> None:
    errors = [(str(number), ImageError(f"{number}: gone")) for number in range(51)]
    check_damage(Part(Path("part"), 0, 100), errors[:50])
    check_damage(Part(Path("part"), 0, 3), errors[:3])
    with pytest.raises(DataError, match=r"more than half of the 100 images of part .* the last one is 50: gone"):
        check_damage(Part(Path("part"), 0, 100), errors)


@pytest.mark.parametrize(
    ("rank", "count", "expected"),
    [
        (None, None, Process()),
        ("1", "3", Process(1, 3)),
        ("0", None, "RANK is set, but not WORLD_SIZE"),
        (None, "2", "WORLD_SIZE is set, but not RANK"),
        ("2", "2", "RANK is 2 and WORLD_SIZE 2"),
        ("-1", "2", "RANK is -1"),
        ("x", "2", "RANK is x"),
        ("0", "", "WORLD_SIZE ;"),
    ],
)
def test_the_environment_says_which_process_this_is(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, count: str | None, expected: Process | str
) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", count)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    if isinstance(expected, Process):
        assert this_process() == expected
        return
    with pytest.raises(InputError, match=expected):
        this_process()
