from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from alexnet.cli import demo as demo_module
from alexnet.recipes import RECIPES
from alexnet.recipes.named import DIGITS
from alexnet.weights import named as weights_by_name


@pytest.mark.parametrize(("epochs", "most_error"), [(3, 30), pytest.param(DIGITS.epochs, 5, marks=pytest.mark.slow)])
def test_the_demo_learns_digits_and_says_what_to_type_next(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, most_error: float
) -> None:
    """The whole of `make demo`: digits learned, photographs named, four pictures, commands that name the run."""
    monkeypatch.setitem(RECIPES, "digits", replace(DIGITS, epochs=epochs))
    finished = run("demo", "--out", tmp_path / "run")
    assert finished.status == 0
    error = float(finished.stdout.split("test error ")[1].split("%")[0])
    assert error < most_error
    assert "coffee.png" in finished.stdout
    assert "espresso (" in finished.stdout
    assert finished.stdout.count("none of its classes") == 6
    for picture in ("curves.png", "predictions.png", "kernels.png", "photographs.png"):
        assert str(tmp_path / "run" / picture) in finished.stdout
        with Image.open(tmp_path / "run" / picture) as image:
            assert min(image.size) > 50
    assert f"evaluate digits --weights {tmp_path / 'run'}" in finished.stdout


def test_damaged_weights_end_the_demo_before_a_net_is_trained(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(weights_by_name, "SHIPPED", tmp_path)
    finished = run("demo", "--out", tmp_path / "run")
    assert finished.status == 2
    assert finished.error.endswith("install alexnet again: these weights come with it")
    assert not (tmp_path / "run").exists()


def test_commands_are_spelled_as_this_shell_reaches_them(monkeypatch) -> None:
    monkeypatch.setattr(demo_module, "which", lambda _: "/usr/bin/alexnet")
    assert demo_module._as_typed() == "alexnet"
    monkeypatch.setattr(demo_module, "which", lambda _: None)
    assert demo_module._as_typed().endswith("bin/alexnet")
