"""What the three tables and the options come to, before the first step."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.arch import NETS
from alexnet.data.datasets import open_data
from alexnet.data.splits import ArraySplit, ClassInfo, DataSet, unnamed_classes
from alexnet.data.subset import choose
from alexnet.errors import DataError, InputError, SpecError, UnknownNameError
from alexnet.preprocess import canvas_size
from alexnet.recipes import RECIPES
from alexnet.train.options import RunOptions
from alexnet.train.plan import Plan, make_plan
from alexnet.weights import Weights, find_weights, save_weights

Planner = Callable[..., Plan]


@pytest.fixture
def plan_of(watching) -> Planner:
    def plan(dataset: DataSet, workers: int = 1, **options: object) -> Plan:
        asked = RunOptions(data="data", **options)  # type: ignore[arg-type]
        return make_plan(asked, dataset, watching(), device="cpu", workers=workers)

    return plan


@pytest.fixture
def parent(tmp_path: Path, tiny_weights: Weights) -> str:
    save_weights(tmp_path / "parent.safetensors", tiny_weights)
    return str(tmp_path / "parent.safetensors")


def data_of(classes: tuple[ClassInfo, ...], seed: int = 0) -> DataSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(2 * len(classes)) % len(classes)
    images = rng.integers(0, 256, (len(labels), 20, 20, 3), np.uint8)
    split = ArraySplit(images, labels, tuple(map(str, labels)))
    return DataSet(name="noise", classes=classes, splits={"train": split}, fingerprint=f"noise {len(classes)} {seed}")


def coordinates(side: int, num_images: int) -> DataSet:
    """Equal pictures in which red says the column and green the row."""
    row, column = np.mgrid[:side, :side]
    picture = np.stack([column, row, np.zeros_like(row)], -1).astype(np.uint8)
    split = ArraySplit(np.repeat(picture[None], num_images, 0), np.arange(num_images) % 2, ("",) * num_images)
    return DataSet("coordinates", unnamed_classes(2), {"train": split}, f"coordinates {side} {num_images}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_the_digits_net(plan_of: Planner, digits: DataSet, recipe: str) -> None:
    """Canvas, crop, channel order and scale are the recipe's; images come out of the loader at the net's size."""
    dataset = replace(digits, splits={"train": digits.split("train"), "val": digits.split("test")})
    plan = plan_of(dataset, net="digits", recipe=recipe)
    asked, found, std = RECIPES[recipe], plan.beginning.preprocessing, RECIPES[recipe].std
    side = round(asked.resize_ratio * 16)
    assert canvas_size(found.resize) == (side, side)
    assert isinstance(found.resize, tuple) == asked.warp
    assert (found.crop, found.channel_order, found.scale, found.std) == (16, asked.channel_order, asked.scale, std)
    batch = next(plan.loader.epoch(0))
    first = round(16 * asked.image_share.base)
    assert batch.images.shape == (min(asked.batch_size, len(dataset.split("train"))), 3, first, first)
    assert (batch.noise is not None) == (asked.color_noise.base > 0)
    assert plan.total_steps == asked.epochs * -(-1438 // asked.batch_size)


def test_a_mean_image_is_the_training_images_own(plan_of: Planner, digits: DataSet) -> None:
    plan = plan_of(digits, net="digits", recipe="krizhevsky-145")
    assert plan.beginning.statistics is not None
    np.testing.assert_array_equal(plan.beginning.preprocessing.mean_image, plan.beginning.statistics.mean_image)
    assert plan.beginning.statistics.num_images == 1438


def test_a_bgr_recipe_keeps_its_mean_image_in_its_own_order(plan_of: Planner, photos: Path) -> None:
    plan = plan_of(open_data(photos), net="digits", recipe="caffe")
    assert plan.beginning.statistics is not None
    assert plan.beginning.preprocessing.mean_image is not None
    red, green, blue = plan.beginning.statistics.mean_image
    np.testing.assert_array_equal(plan.beginning.preprocessing.mean_image, np.stack([blue, green, red]))
    assert (red != blue).any()
    # What the net reads is then each channel less its own mean.
    batch = next(plan.loader.epoch(0))
    seen = plan.trainer.inputs(torch.from_numpy(batch.images))
    expected = batch.images[:, ::-1].astype(np.float32) - plan.beginning.preprocessing.mean_image[None, :, 1:17, 1:17]
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-4)


def test_a_mean_colour_is_three_numbers(plan_of: Planner, photos: Path) -> None:
    plan = plan_of(open_data(photos), net="digits")
    assert plan.beginning.statistics is not None
    assert plan.beginning.preprocessing.mean_image is None
    assert plan.beginning.preprocessing.mean == pytest.approx(plan.beginning.statistics.mean_color.tolist())


def test_a_recipe_with_a_mean_of_its_own_needs_no_statistics(plan_of: Planner, digits: DataSet) -> None:
    plan = plan_of(digits, net="digits", recipe="one-weird-trick")
    assert plan.beginning.statistics is None
    assert plan.beginning.preprocessing.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(("recipe", "images_per_draw"), [("krizhevsky-145", 32), ("paper", 1)])
def test_the_recipe_says_how_many_images_share_a_crop(plan_of: Planner, recipe: str, images_per_draw: int) -> None:
    """The 2012 code drew once for 32 images in a row; the canvas is as large as the picture, so pixels are exact."""
    dataset = coordinates(18, 128)
    dataset = replace(dataset, splits={"train": dataset.split("train"), "val": dataset.split("train")})
    [batch] = plan_of(dataset, net="digits", recipe=recipe).loader.epoch(0)
    corners = batch.images[:, :2, 0, 0]
    draws = corners.reshape(-1, images_per_draw, 2)
    assert (draws == draws[:, :1]).all()
    assert len(np.unique(draws[:, 0], axis=0)) > 1
    # Columns 0 to 2 begin a crop, columns 15 to 17 a mirrored one; three rows.
    assert {int(column) for column in corners[:, 0]} <= {0, 1, 2, 15, 16, 17}
    assert {int(row) for row in corners[:, 1]} <= {0, 1, 2}
    if images_per_draw == 1:
        assert len(np.unique(corners, axis=0)) == 18  # every one of them


def test_what_is_asked_for_wins_over_the_recipe(plan_of: Planner, digits: DataSet) -> None:
    plan = plan_of(digits, net="digits", epochs=3, batch_size=100, lr=0.5, seed=7, workers=3)
    assert (plan.recipe.epochs, plan.recipe.batch_size, plan.recipe.rates.weights.base) == (3, 100, 0.5)
    assert (plan.loader.options.seed, plan.trainer.seed, plan.loader.options.workers) == (7, 7, 3)
    assert (plan.steps_per_epoch, plan.total_steps, plan.trainer.total_steps) == (15, 45, 45)
    limited = plan_of(digits, net="digits", epochs=3, limit_train_batches=4)
    assert (limited.steps_per_epoch, limited.total_steps, limited.trainer.total_steps) == (4, 12, 12)
    assert plan_of(digits, net="digits", limit_train_batches=1000).steps_per_epoch == 23


@pytest.mark.parametrize(
    ("net", "recipe"), [("digits", "digits"), ("digits+no-lrn", "digits"), ("cifar-relu+tanh", "cifar-relu")]
)
def test_the_recipe_defaults_to_the_nets(plan_of: Planner, digits: DataSet, net: str, recipe: str) -> None:
    plan = plan_of(digits, net=net)
    assert (plan.spec.name, plan.recipe.name, plan.spec.num_classes) == (net, recipe, 10)


@pytest.mark.parametrize(
    ("splits", "measured"),
    [(("train", "val", "test"), "val"), (("train", "test"), "test"), (("train",), None)],
)
def test_errors_are_measured_on_val_else_on_test(
    plan_of: Planner, digits: DataSet, splits: tuple[str, ...], measured: str | None
) -> None:
    dataset = replace(digits, splits=dict.fromkeys(splits, digits.split("train")))
    assert plan_of(dataset, net="digits").measured_split == measured


def test_the_seed_alone_decides_the_first_weights(plan_of: Planner, digits: DataSet) -> None:
    first, again, other, large = (
        plan_of(digits, net="digits", seed=seed).trainer.tensors()["conv2.weight"] for seed in (None, 0, 1, 2**80)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert np.isfinite(large).all()


def test_a_parent_of_the_same_classes_gives_every_row(plan_of: Planner, tiny_weights: Weights, parent: str) -> None:
    plan = plan_of(data_of(tiny_weights.classes), weights=parent)
    tensors = plan.trainer.tensors()
    assert tensors.keys() == tiny_weights.tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, tiny_weights.tensors[name])


def test_a_parent_of_other_classes_gives_every_row_but_the_last(
    plan_of: Planner, tiny_weights: Weights, parent: str
) -> None:
    tensors = plan_of(data_of(unnamed_classes(4)), weights=parent).trainer.tensors()
    for name, tensor in tensors.items():
        if name.startswith("fc4."):
            assert len(tensor) == 4
            assert name.endswith("bias") or tensor.std() > 0
        else:
            np.testing.assert_array_equal(tensor, tiny_weights.tensors[name])


def test_the_parents_preprocessing_is_kept(plan_of: Planner, tiny_weights: Weights, parent: str) -> None:
    """Its mean image is what its first layer expects; only colour noise asks these images for statistics."""
    plan = plan_of(data_of(unnamed_classes(4)), weights=parent, recipe="krizhevsky-145")
    assert plan.beginning.preprocessing == tiny_weights.preprocessing
    np.testing.assert_array_equal(plan.beginning.preprocessing.mean_image, tiny_weights.preprocessing.mean_image)
    assert plan.loader.pca is not None
    assert plan.beginning.statistics is not None
    np.testing.assert_array_equal(plan.loader.pca[0], plan.beginning.statistics.pca_stdevs)
    assert plan_of(data_of(unnamed_classes(4)), weights=parent, recipe="caffe").beginning.statistics is None


def test_a_child_learns_from_pictures_as_they_are(plan_of: Planner, tiny_weights: Weights, tmp_path: Path) -> None:
    """What its parent's were reduced to is no matter then."""
    parent = replace(tiny_weights, preprocessing=replace(tiny_weights.preprocessing, reduce_to=8))
    save_weights(tmp_path / "reduced.safetensors", parent)
    plan = plan_of(data_of(unnamed_classes(4)), weights=str(tmp_path / "reduced.safetensors"))
    assert plan.beginning.preprocessing == tiny_weights.preprocessing


def test_a_child_is_less_the_centre_of_the_mean_image(plan_of: Planner, tiny_weights: Weights, tmp_path: Path) -> None:
    """Also that of a net of Caffe, whose crops were less what lay under them: it learns so, and says so."""
    parent = replace(tiny_weights, preprocessing=replace(tiny_weights.preprocessing, mean_crop="view"))
    save_weights(tmp_path / "moving.safetensors", parent)
    plan = plan_of(data_of(unnamed_classes(4)), weights=str(tmp_path / "moving.safetensors"))
    assert plan.beginning.preprocessing == tiny_weights.preprocessing
    np.testing.assert_array_equal(plan.beginning.preprocessing.mean_image, tiny_weights.preprocessing.mean_image)


def test_a_net_that_the_weights_are_not_is_refused(plan_of: Planner, parent: str) -> None:
    with pytest.raises(InputError, match=r"parent\.safetensors is a tiny, not a digits; leave --net out"):
        plan_of(data_of(unnamed_classes(4)), weights=parent, net="digits")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"net": "digitz"}, "unknown net 'digitz'; did you mean digits"),
        ({"net": "digits", "recipe": "cafe"}, "unknown recipe 'cafe'; did you mean caffe"),
        ({"net": "digits+no-lrm"}, "unknown ablation 'no-lrm'; did you mean no-lrn"),
    ],
)
def test_unknown_names_offer_the_nearest(
    plan_of: Planner, digits: DataSet, options: dict[str, str], words: str
) -> None:
    with pytest.raises(UnknownNameError, match=words):
        plan_of(digits, **options)


@pytest.mark.parametrize("split", ["val", "test"])
def test_images_of_another_split_alone_are_not_trained_on(plan_of: Planner, digits: DataSet, split: str) -> None:
    dataset = replace(digits, name="one-000.tar", splits={split: digits.split("train")})
    with pytest.raises(DataError, match=f"one-000.tar has no train images, it has {split};.* rename"):
        plan_of(dataset, net="digits")


def test_a_recipe_that_waits_for_the_validation_error_needs_one(plan_of: Planner, digits: DataSet) -> None:
    """Without one its rate would never drop."""
    with pytest.raises(DataError, match="recipe paper lowers its rate by the validation error, but digits has no val"):
        plan_of(digits, net="digits", recipe="paper")


@pytest.mark.parametrize("error", [25.0, -0.1, float("nan")])
def test_an_error_to_reach_is_a_fraction(plan_of: Planner, digits: DataSet, error: float) -> None:
    with pytest.raises(InputError, match=r"until_error is .*; it must be a fraction from 0 to 1"):
        plan_of(digits, net="digits", until_error=error)


def test_the_description_is_what_run_json_needs(plan_of: Planner, digits: DataSet) -> None:
    plan = plan_of(digits, net="digits+no-lrn", lr=0.02, precision="fp32")
    described = plan.describe()
    assert list(described) == ["data", "machine"]
    assert plan.spec.name == "digits+no-lrn"
    assert plan.recipe.rates.weights.base == 0.02
    assert described["data"]["images"] == {"train": 1438, "test": 359}
    machine = described["machine"]
    assert (machine["device"], machine["dtype"], machine["torch"]) == ("cpu", "float32", torch.__version__)


def test_digits_have_a_net_of_their_own(watching, digits: DataSet) -> None:
    plan = make_plan(RunOptions(data="digits"), digits, watching(), device="cpu", workers=1)
    assert (plan.spec.name, plan.recipe.name, plan.options.weights) == ("digits", "digits", None)


def test_all_else_begins_with_the_shipped_weights_and_is_fine_tuned(plan_of: Planner, photos: Path) -> None:
    plan = plan_of(open_data(photos))
    options = plan.options
    assert (options.weights, options.net) == ("tiny-imagenet-200", "krizhevsky-145")
    assert options.recipe == "krizhevsky-145+fine-tune+new-classifier"
    shipped, tensors = find_weights("tiny-imagenet-200").tensors, plan.trainer.tensors()
    assert tensors.keys() == shipped.keys()
    for key, tensor in shipped.items():
        assert key.startswith("fc8") or np.array_equal(tensors[key], tensor)


def test_a_classifier_that_is_taken_over_learns_no_faster_than_the_rest(
    plan_of: Planner, tiny_weights: Weights, parent: str
) -> None:
    plans = [plan_of(data_of(classes), weights=parent) for classes in (tiny_weights.classes, unnamed_classes(4))]
    names = [plan.options.recipe for plan in plans]
    assert names == ["krizhevsky-145+fine-tune", "krizhevsky-145+fine-tune+new-classifier"]
    for plan, factor in zip(plans, (1, 10), strict=True):
        plan.trainer.optimizer.set_rates(0.0)
        rates = plan.trainer.optimizer.rates
        assert rates["fc4.weight"] == pytest.approx(factor * rates["conv1.weight"])
        assert plan.trainer.rates() == pytest.approx({"lr": 0.001, "lr_bias": 0.002})


def test_a_net_that_images_of_the_recipe_cannot_be_brought_to_is_refused_at_once(
    plan_of: Planner, digits: DataSet
) -> None:
    with pytest.raises(SpecError, match="row local3 fits images of 24 pixels alone"):
        plan_of(digits, net="cifar-11pct", recipe="tiny-imagenet")


def test_a_net_made_small_is_not_fine_tuned(plan_of: Planner, tiny_weights: Weights, parent: str) -> None:
    plan = plan_of(data_of(tiny_weights.classes), weights=parent, share_values=True)
    assert plan.recipe.name == "krizhevsky-145"
    assert plan.recipe.constraint is not None


def test_classes_with_hardly_an_image_are_known(plan_of: Planner, digits: DataSet) -> None:
    train = digits.split("train")
    kept = np.flatnonzero((train.labels != 3) | (np.cumsum(train.labels == 3) == 1))
    few = replace(digits, splits={"train": choose(train, kept), "test": digits.split("test")}, fingerprint="few 3s")
    assert plan_of(few, net="digits").few_images == {"3": 1}
    assert plan_of(digits, net="digits").few_images == {}


def test_the_options_of_a_plan_leave_nothing_open(plan_of: Planner, digits: DataSet) -> None:
    options = plan_of(digits, net="digits", precision="auto").options
    assert (options.net, options.recipe, options.epochs, options.batch_size) == ("digits", "digits", 12, 64)
    assert (options.lr, options.seed) == (0.005, 0)
    assert options.precision in ("fp32", "bf16")


def test_one_real_shard_trains_the_default_net(plan_of: Planner, test_data: Path, tmp_path: Path) -> None:
    """Tiny ImageNet's validation shard alone: refused under its own name, trained on under the name of a train shard.

    Two steps of 24 from the published initial weights stay near chance, and move every parameter.
    """
    shard = test_data / "tiny-imagenet" / "val-000.tar.gz"
    with pytest.raises(DataError, match="has no train images, it has val"):
        plan_of(open_data(shard), net="krizhevsky-145")
    (tmp_path / "train-000.tar.gz").symlink_to(shard)
    shutil.copy(shard.parent / "classes.json", tmp_path)
    dataset = open_data(tmp_path / "train-000.tar.gz")
    few = choose(dataset.split("train"), np.arange(48))
    few_of_it = replace(dataset, splits={"train": few}, fingerprint="few")
    plan = plan_of(few_of_it, net="krizhevsky-145", batch_size=24, precision="fp32")
    assert (plan.spec.name, plan.spec.num_classes, len(dataset.classes)) == ("krizhevsky-145", 200, 200)
    assert plan.spec.rows[:-2] == NETS["krizhevsky-145"].rows[:-2]
    before = plan.trainer.tensors()
    losses = [float(plan.trainer.step(batch, step)[0]) for step, batch in enumerate(plan.loader.epoch(0))]
    assert losses == pytest.approx([np.log(200)] * 2, rel=0.2)
    after = plan.trainer.tensors()
    assert all((before[name] != after[name]).any() and np.isfinite(after[name]).all() for name in before)


@pytest.mark.parametrize(("batch_size", "said"), [(20, False), (21, True)])
def test_a_batch_of_more_images_than_there_are_is_remarked_upon(watching, batch_size: int, said: bool) -> None:
    observer = watching()
    options = RunOptions(data="data", net="digits", batch_size=batch_size)
    make_plan(options, data_of(unnamed_classes(10)), observer, device="cpu", workers=1)
    assert any("is more than the 20 images to train on" in line for line in observer.news) == said


@pytest.mark.parametrize(("batch_size", "lr", "said"), [(64, None, True), (64, 0.1, False), (None, None, False)])
def test_lars_says_what_batches_its_rate_is_for(watching, batch_size: int | None, lr: float | None, said: bool) -> None:
    observer = watching()
    options = RunOptions(data="data", net="digits", recipe="lars", batch_size=batch_size, lr=lr)
    make_plan(options, data_of(unnamed_classes(10)), observer, device="cpu", workers=1)
    assert any("is for batches of 32,768; --lr sets one" in line for line in observer.news) == said
