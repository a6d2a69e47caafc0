import json
from pathlib import Path

import pytest

from alexnet.data.collection import Collection
from alexnet.errors import DataError, ImageError
from alexnet.evaluate import evaluate
from alexnet.parts.evaluation import evaluate_parts, read_measured, total
from alexnet.parts.job import Process
from alexnet.predict import Classifier


@pytest.mark.parametrize("views", ["center", "ten"])
def test_parts_add_up_to_the_errors_of_one_pass(
    classifier: Classifier, collection: Collection, tmp_path: Path, views
) -> None:
    once = evaluate([classifier, classifier], collection.images, collection.classes, views=views, batch_size=2)
    for rank in (2, 0, 1):
        outcome = evaluate_parts(
            [classifier, classifier],
            collection,
            tmp_path / "parts",
            Process(rank, 3),
            images_per_part=4,
            views=views,
            batch_size=2,
        )
    found = total(outcome, len(classifier.classes), views)
    assert found is not None
    assert (found.top1_error, found.top5_error, found.images) == (once.top1_error, once.top5_error, once.images)
    assert found.loss == pytest.approx(once.loss, rel=1e-12)


def test_an_unfinished_evaluation_has_no_errors_yet(
    classifier: Classifier, collection: Collection, tmp_path: Path
) -> None:
    outcome = evaluate_parts([classifier], collection, tmp_path / "parts", Process(0, 2), images_per_part=4)
    assert (outcome.job.count_done(), total(outcome, 6, "center")) == (2, None)


def test_a_damaged_image_is_listed_in_its_part(
    classifier: Classifier, collection: Collection, photos: Path, tmp_path: Path
) -> None:
    bad = photos / collection.images.paths[5]
    bad.write_text("words")
    said: list[ImageError] = []
    outcome = evaluate_parts(
        [classifier], collection, tmp_path / "parts", Process(), images_per_part=4, on_damaged=said.append
    )
    assert [len(part.errors) for part in outcome.own] == [0, 1, 0]
    assert outcome.own[1].errors[0][0] == str(said[0])
    found = total(outcome, 6, "center")
    assert found is not None
    assert found.images == 9


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"top1": 1, "top5": 1, "loss": NaN, "images": 1, "errors": []}', "null", "\udc80"]
)
def test_a_damaged_part_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "part.json"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(DataError, match="damaged, or no part"):
        read_measured(path)


def test_a_part_is_a_few_numbers(classifier: Classifier, collection: Collection, tmp_path: Path) -> None:
    evaluate_parts([classifier], collection, tmp_path / "parts", Process(), images_per_part=10)
    stored = json.loads((tmp_path / "parts/part-00000-of-00001.json").read_text())
    assert stored.keys() == {"top1", "top5", "loss", "images", "errors"}
