from pathlib import Path

from PIL import Image

from alexnet.cli import demo as demo_module


def test_the_demo_learns_digits_and_says_what_to_type_next(run, tmp_path: Path) -> None:
    """The whole of `make demo`: under 5 % test error, photographs named, four pictures, commands that name the run."""
    finished = run("demo", "--out", tmp_path / "run")
    assert finished.status == 0
    error = float(finished.stdout.split("test error ")[1].split("%")[0])
    assert error < 5
    assert "coffee.png" in finished.stdout
    assert "espresso (" in finished.stdout
    assert finished.stdout.count("none of its classes") == 6
    for picture in ("curves.png", "predictions.png", "kernels.png", "photographs.png"):
        assert str(tmp_path / "run" / picture) in finished.stdout
        with Image.open(tmp_path / "run" / picture) as image:
            assert min(image.size) > 50
    assert f"evaluate digits --weights {tmp_path / 'run'}" in finished.stdout


def test_commands_are_spelled_as_this_shell_reaches_them(monkeypatch) -> None:
    monkeypatch.setattr(demo_module, "which", lambda _: "/usr/bin/alexnet")
    assert demo_module._as_typed() == "alexnet"
    monkeypatch.setattr(demo_module, "which", lambda _: None)
    assert demo_module._as_typed().endswith("bin/alexnet")
