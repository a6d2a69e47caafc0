import pytest

from alexnet.errors import InputError
from alexnet.experiments.claims import transfer as module
from alexnet.experiments.claims.machine import precision_of
from alexnet.experiments.claims.transfer import CLAIM, split_classes
from alexnet.experiments.claims.wording import setting_line
from alexnet.weights import find_weights


@pytest.fixture
def small(monkeypatch):
    for name, value in {"CHILD_SHARE": 0.6, "CHILD_EPOCHS": 1, "IMAGES_PER_CLASS": 3}.items():
        monkeypatch.setattr(module, name, value)


def test_classes_are_split_always_alike(small, open_on_digits):
    child, parent = split_classes(open_on_digits(CLAIM).dataset)
    assert len(child) == 6
    assert sorted(child + parent) == list(range(10))
    assert (child, parent) == (sorted(child), sorted(parent))


def test_too_few_classes_are_refused(open_on_digits):
    with pytest.raises(InputError, match="digits has 10 classes"):
        split_classes(open_on_digits(CLAIM).dataset)


def test_children_of_every_seed_begin_from_one_parent_or_from_nothing(small, open_on_digits):
    study = open_on_digits(CLAIM)
    found = CLAIM.run(study)
    folders = {path.parent.name: path.name for path in study.asked.runs.glob("digits-4-classes/*")}
    assert folders == {"digits-4-classes": f"digits_2-epochs_2-steps_{precision_of('cpu')}_seed-0"}
    for seed in (0, 1):
        children = sorted((study.asked.runs / f"digits-6-classes-3-images-{seed}").iterdir())
        assert [path.name.split("_")[0] for path in children] == ["digits", "digits"]
        assert (
            sum(
                "_by-digits+fine-tune+new-classifier_" in path.name and "_from-digits_" in path.name
                for path in children
            )
            == 1
        )
        assert len(find_weights(str(children[0])).classes) == 6
        assert all("_batch-32_" in path.name for path in children)
    assert found.covers == "2 seeds, paired, all on the same images: nothing of other images; one parent"
    assert [effect.published for effect in found.effects] == [1.7, 1.6]
    assert found.setting["child_recipes"] == ["digits+fine-tune+new-classifier", "digits"]
    assert "; 1 of the children, by digits+fine-tune+new-classifier and digits;" in setting_line(found.setting)
    assert "6 classes with 3 training images each" in found.setting["data"]
    errors = found.details["errors"]
    gains = [b["top-1"] - a["top-1"] for a, b in zip(errors["fine-tuned"], errors["from scratch"], strict=True)]
    assert found.effects[0].value == pytest.approx(100 * sum(gains) / 2)
    assert 200 < found.setting["images"] < 230
