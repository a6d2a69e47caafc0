"""The examples run as their readers would run them, and the net in one file is the package's net."""

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.arch import find
from alexnet.arch.rows import Weighted
from alexnet.data.color import mix_noise
from alexnet.data.datasets import open_data
from alexnet.data.folder import open_folder
from alexnet.data.statistics import fit
from alexnet.nn import Net, build
from alexnet.preprocess import extract_views, open_image, resize_image
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.train.schedule import rate_at, recipe_progress
from alexnet.train.sgd import Sgd2012

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ONE_FILE = EXAMPLES / "alexnet_in_one_file.py"
NUM_CLASSES = 7


@pytest.fixture(scope="module")
def one_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location(ONE_FILE.stem, ONE_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def twins(one_file) -> tuple[nn.Module, Net]:
    """The net of the file and the package's, with the same parameters."""
    ours = build(find("krizhevsky-145", num_classes=NUM_CLASSES), seed=1)
    theirs = one_file.AlexNet(NUM_CLASSES)
    theirs.load_state_dict(ours.state_dict())
    return theirs, ours


def images(count: int) -> Tensor:
    """Noise of the size of photographs less their mean."""
    return 60 * torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(2))


def test_the_net_in_one_file_is_under_200_readable_lines():
    lines = ONE_FILE.read_text("utf-8").splitlines()
    assert len(lines) < 200
    assert max(map(len, lines)) <= 120
    assert "import alexnet" not in lines


def test_the_net_in_one_file_gives_the_logits_of_the_package(twins):
    x = images(2)
    with torch.no_grad():
        theirs, ours = (net.eval()(x) for net in twins)
    assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-4)
    assert ours.std() > 0.01


def test_the_net_in_one_file_gives_the_gradients_of_the_package(twins):
    """In training, with the same units dropped."""
    gradients = []
    for net in twins:
        torch.manual_seed(3)
        net.zero_grad()
        nn.functional.cross_entropy(net.train()(images(2)), torch.tensor([1, 5])).backward()
        gradients.append({name: parameter.grad for name, parameter in net.named_parameters()})
    theirs, ours = gradients
    for name, gradient in ours.items():
        assert gradient.norm() > 0, name
        assert (theirs[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


def test_the_net_in_one_file_starts_as_the_rows_say(one_file):
    torch.manual_seed(4)
    net, spec = one_file.AlexNet(NUM_CLASSES), find("krizhevsky-145", num_classes=NUM_CLASSES)
    rows = {row.name: row for row in spec.rows if isinstance(row, Weighted)}
    assert rows.keys() == dict(net.named_children()).keys()
    for name, row in rows.items():
        layer = net.get_submodule(name)
        assert layer.weight.std().item() == pytest.approx(row.weight_std, rel=0.03), name
        assert abs(layer.weight.mean().item()) < 0.03 * row.weight_std, name
        assert (layer.bias == row.bias_init).all(), name


@pytest.mark.parametrize("total_steps", [91 * 10_009, 40_000, 1_564, 91], ids=str)
def test_the_rates_in_one_file_are_the_recipe_s_at_every_moment(one_file, total_steps):
    """The run of 2012, where nothing is held; and shorter ones, where the first rate is."""
    steps = {round(total_steps * part / 2_000) for part in range(2_000)}
    steps |= {total_steps * epoch // 91 + offset for epoch in range(91) for offset in (0, 1)}
    for step in sorted(steps):
        progress = recipe_progress(KRIZHEVSKY_145, step, total_steps)
        assert one_file.progress_at(step, total_steps) == pytest.approx(progress, abs=1e-12)
        assert one_file.value_at(one_file.COLOR_NOISE, progress) == rate_at(KRIZHEVSKY_145.color_noise, progress)
        for row in ("conv1", "conv2", "fc8"):
            rates = KRIZHEVSKY_145.row_rates.get(row, KRIZHEVSKY_145.rates)
            for kind, schedule in (("weight", rates.weights), ("bias", rates.biases)):
                table = one_file.RATES.get(f"{row}.{kind}", one_file.RATES[kind])
                assert one_file.value_at(table, progress) == rate_at(schedule, progress), (row, kind, step)


class _TwoLayers(nn.Module):
    """One layer with rates of its own, one without."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = find("krizhevsky-145")  # whose classifier is fc8 too
        self.conv1, self.fc8 = nn.Conv2d(3, 4, 3), nn.Linear(5, 6)


def test_the_update_in_one_file_is_the_package_s_while_rates_drop_and_a_layer_freezes(one_file):
    torch.manual_seed(5)
    theirs, ours = _TwoLayers(), _TwoLayers()
    theirs.load_state_dict(ours.state_dict())
    velocities = {name: torch.zeros_like(parameter) for name, parameter in theirs.named_parameters()}
    optimizer = Sgd2012(ours, KRIZHEVSKY_145)
    for progress in (0.1, 0.2, 0.3, 0.75, 0.8, 0.9):
        optimizer.set_rates(progress)
        for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
            yours.grad = torch.randn_like(yours)
            mine.grad = yours.grad.clone() if mine.requires_grad else None
        optimizer.step()
        one_file.update(theirs, velocities, progress)
        for name, parameter in ours.named_parameters():
            assert torch.allclose(theirs.get_parameter(name), parameter, rtol=1e-5, atol=1e-7), (name, progress)


def draws(one_file: ModuleType) -> list[tuple[int, int, bool]]:
    """(top, left, mirrored) of 34 crops of a canvas whose pixels say where they are."""
    place = torch.arange(256, dtype=torch.uint8)
    canvas = torch.stack([place[:, None].expand(256, 256), place.expand(256, 256)])  # row and column
    crops = one_file.draw_crops(canvas.expand(34, 2, 256, 256))
    assert crops.shape == (34, 2, 224, 224)
    tops, edges = crops[:, 0, 0, 0].tolist(), crops[:, 1, 0, [0, -1]].tolist()
    return [(top, min(ends), ends[0] > ends[1]) for top, ends in zip(tops, edges, strict=True)]


def test_the_crops_in_one_file_are_drawn_for_32_images_at_a_time_from_33_places_each_way(one_file, monkeypatch):
    torch.manual_seed(7)
    drawn = draws(one_file)
    assert [len(set(chunk)) for chunk in (drawn[:32], drawn[32:], drawn)] == [1, 1, 2]
    monkeypatch.setattr(one_file, "CHUNK", 1)
    tops, lefts, flips = zip(*[draw for _ in range(10) for draw in draws(one_file)], strict=True)
    assert [sorted(set(values)) for values in (tops, lefts, flips)] == [[*range(33)], [*range(33)], [False, True]]
    assert sum(flips) / len(flips) == pytest.approx(0.5, abs=0.1)


def test_the_colour_noise_in_one_file_is_the_package_s_of_the_same_draw(one_file):
    stdevs, directions = torch.tensor([20.0, 37.0, 122.0]), torch.linalg.qr(torch.randn(3, 3))[0]
    torch.manual_seed(6)
    noise = one_file.draw_noise(50, stdevs, directions)
    torch.manual_seed(6)
    alpha = torch.randn(50, 3)
    assert np.allclose(noise, mix_noise(alpha.numpy(), stdevs.numpy(), directions.numpy()), rtol=1e-4, atol=1e-3)


def test_the_ten_views_in_one_file_are_the_package_s(one_file):
    canvases = torch.randint(256, (2, 3, 256, 256), dtype=torch.uint8)
    assert (one_file.ten_views(canvases).numpy() == extract_views(canvases.numpy(), 224, "ten")).all()


@pytest.fixture(scope="module")
def photos(test_data, tmp_path_factory) -> Path:
    """Twelve photographs in two class folders."""
    folder = tmp_path_factory.mktemp("photos")
    for place, file in enumerate(sorted((test_data / "imagenet-samples").glob("*/*"))[:12]):
        link = folder / f"class-{place % 2}" / file.name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(file)
    return folder


def test_the_canvases_and_statistics_in_one_file_are_the_package_s(one_file, photos):
    files = sorted(photos.glob("*/*"))
    canvases, labels = one_file.load(files, ["class-0", "class-1"])
    expected = np.stack([resize_image(open_image(file), 256, "bilinear") for file in files])
    assert labels.tolist() == [0] * 6 + [1] * 6
    assert np.abs(canvases.numpy().astype(int) - expected).mean() < 3  # the middle lies up to half a pixel apart
    split = open_folder(photos).splits["train"]
    ours = fit(split, 256, "bilinear")
    batch = one_file.load([photos / path for path in split.paths], ["class-0", "class-1"])
    mean, stdevs, directions = one_file.statistics([batch])
    assert np.abs(mean.numpy() - ours.mean_image).mean() < 3
    assert np.allclose(stdevs, ours.pca_stdevs, rtol=0.01)
    assert np.allclose(np.abs(directions.numpy().T @ ours.pca_eigenvectors), np.eye(3), atol=0.01)


def test_the_net_in_one_file_trains_on_class_folders(photos, tmp_path):
    command = [sys.executable, str(ONE_FILE), str(photos), "--epochs", "1", "--out", str(tmp_path / "alexnet.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("epoch 1: loss ")
    saved = torch.load(tmp_path / "alexnet.pt", weights_only=True)
    assert saved["fc8.weight"].shape == (2, 4096)


@pytest.fixture(scope="module")
def pictures(test_data, tmp_path_factory) -> Path:
    """Thirty images of CIFAR-10 in each of three class folders."""
    folder = tmp_path_factory.mktemp("cifar")
    split = open_data(test_data / "cifar10" / "test-000.tar.gz").split("test")
    for label, name in enumerate(("airplane", "automobile", "bird")):
        (folder / name).mkdir()
        for place in np.flatnonzero(split.labels == label)[:30].tolist():
            split.image(place).save(folder / name / f"{place}.png")
    return folder


def run_example(name: str, *arguments: object) -> str:
    """What a script prints, run as its docstring says but in this process, which has torch already."""
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return printed.getvalue()


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory) -> tuple[Path, str]:
    """A run folder made by the first example, and what the example said."""
    run = tmp_path_factory.mktemp("runs") / "pictures"
    return run, run_example("train_my_folder.py", pictures, "--net", "cifar-18pct", "--epochs", 2, "--out", run)


def test_a_folder_is_trained_on_from_python(trained):
    run, said = trained
    assert re.search(r"^top-1 error [\d.]+% \(val, center view\)$", said, re.MULTILINE)
    assert (run / "best.safetensors").is_file()


def test_features_of_a_net_serve_a_classifier_of_scikit_learn(trained, pictures):
    said = run_example("features_for_a_classifier.py", pictures, "--weights", trained[0], "--layer", "pool3")
    error = float(re.fullmatch(r"error on \d+ held-out images: ([\d.]+)%\n", said)[1])
    assert error < 66  # of three classes


def test_the_nearest_image_to_one_of_the_folder_is_itself(trained, pictures):
    image = sorted(pictures.glob("*/*"))[3]
    said = run_example("nearest_images.py", image, pictures, "--weights", trained[0], "--layer", "fc10", "--count", 3)
    distances, files = zip(*(line.split() for line in said.splitlines()), strict=True)
    assert files[0] == str(image)
    assert float(distances[0]) == pytest.approx(0, abs=1e-3)
    assert [*map(float, distances)] == sorted(map(float, distances))


def test_what_a_run_measured_can_be_read_from_its_folder(trained):
    said = run_example("read_a_run.py", trained[0])
    assert said.startswith("cifar-18pct on ")
    assert len(re.findall(r"epoch \d: top-1 error [\d.]+% \(val, center view\)", said)) == 2


def test_a_net_learns_in_an_ordinary_torch_loop():
    said = run_example("use_the_net_in_your_loop.py", "--steps", 100)
    assert float(re.search(r"test error ([\d.]+)%", said)[1]) < 70  # chance is 90


def test_the_normalization_of_a_foreign_model_is_swapped_with_equal_outputs():
    said = run_example("swap_lrn.py", "--batch-size", 2)
    assert float(re.match(r"largest difference (\S+);", said)[1]) < 1e-5


def test_an_ablation_of_one_s_own_is_a_function_of_specs():
    said = run_example("ablation_in_five_lines.py", "krizhevsky-145")
    assert "LRN over 9 maps" in said
    assert "LocalResponseNorm(9, alpha=0.0001" in said


SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != ONE_FILE], ids=lambda path: path.stem)
def test_every_other_script_has_under_40_lines(script):
    assert len(script.read_text("utf-8").splitlines()) < 40


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_is_run_by_these_tests_and_listed_on_the_page(script):
    tests = Path(__file__).read_text("utf-8")
    page = (EXAMPLES / "README.md").read_text("utf-8")
    assert script == ONE_FILE or f'"{script.name}"' in tests
    assert f"]({script.name})" in page
    assert f"python examples/{script.name}" in page


NOTEBOOK = EXAMPLES / "learn_alexnet_on_cifar10.ipynb"
MOST_BYTES = 300_000


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("shortened", "most_error"),
    [
        pytest.param(
            {"12_800": "4_000", "seed=0), 100)": "seed=0), 5)", "fit(net, 200)": "fit(net, 100)"}, 75, id="short"
        ),
        pytest.param({}, 65, marks=pytest.mark.slow, id="whole"),
    ],
)
def test_the_notebook_runs_and_its_net_learns(test_data, tmp_path, shortened, most_error):
    """In a kernel of this very Python, and without a trace in the user's folders.

    In a process of its own: the client of a kernel leaves sockets to the garbage collector, which warns of them.
    """
    source = NOTEBOOK.read_text("utf-8")
    for words, fewer in shortened.items():
        assert words in source
        source = source.replace(words, fewer)
    (tmp_path / NOTEBOOK.name).write_text(source, "utf-8")
    places = {name: str(tmp_path) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    environment = {**os.environ, **places, "JUPYTER_PREFER_ENV_PATH": "1", "ALEXNET_TEST_DATA": str(test_data)}
    executed = tmp_path / "executed.ipynb"
    command = [sys.executable, str(EXAMPLES / "run_notebook.py"), str(tmp_path / NOTEBOOK.name), "--out", str(executed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(executed, as_version=4)
    printed = "".join(output.text for cell in code_cells(notebook) for output in cell.outputs if "text" in output)
    assert float(re.search(r"test error ([\d.]+)%", printed)[1]) < most_error  # chance is 90
    features, pixels = (int(share) for share in re.findall(r"nearest by \w+ (\d+)%", printed))
    assert features > pixels > 10


def test_the_notebook_is_kept_with_its_pictures_and_stays_small():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = code_cells(notebook)
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", ()) for output in outputs) >= 5
    assert "error" not in {output.output_type for output in outputs}
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_the_notebook_is_kept_without_images_of_the_data_set():
    """They are not ours to publish; whoever runs it sees them."""
    for cell in code_cells(nbformat.read(NOTEBOOK, as_version=4)):
        if re.search(r"\bshow\(", cell.source):
            assert all("image/png" not in output.get("data", ()) for output in cell.outputs)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
