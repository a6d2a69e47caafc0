from pathlib import Path

import pytest


def test_json_says_what_was_written(run, weights_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    found = run("convert", weights_file, out, "--uint8-input", "--json").json
    assert (found["weights"], found["out"], found["format"]) == (str(weights_file), str(out), "onnx")
    assert found["bytes"] == out.stat().st_size
    assert {"conv1.weight", "preprocessing.mean_image"} <= set(found["mapped"])
    assert found["dropped"] == []
    assert found["largest_difference"] <= 1e-4 * found["largest_logit"]


def test_what_was_mapped_and_dropped_is_printed(run, weights_file: Path, tmp_path: Path) -> None:
    status, shown, errors = run("convert", weights_file, tmp_path / "net.onnx")
    assert (status, errors) == (0, "")
    mapped, dropped, difference, written = shown.splitlines()
    assert "conv1.weight" in mapped
    assert dropped.split() == ["dropped", "nothing"]
    assert "logits of the probe image differ by" in difference
    assert written.startswith(f"{tmp_path / 'net.onnx'}: onnx, ")


def test_an_onnx_file_is_weights_for_every_verb(run, weights_file: Path, photos: Path, tmp_path: Path) -> None:
    net, photo = tmp_path / "net.onnx", next(photos.rglob("*.png"))
    assert run("convert", weights_file, net).status == 0
    for engine in ("torch", "onnxruntime"):
        common = ("--weights", net, "--engine", engine, "--json")
        assert run("predict", photo, *common).json["engine"] == engine
        assert run("evaluate", photos, *common).json["images"] == 12
        assert run("features", photos, *common, "--layer", "fc3", "--out", tmp_path / "f.npz").json["images"] == 24
        nearest = run("similar", photo, "--among", photos, *common, "--layer", "fc3").json["similar"][0]
        assert nearest["distance"] == pytest.approx(0, abs=1e-3)
    assert run("weights", net, "--json").json["weights"][0]["net"] == "tiny"
    assert (
        run(
            "train", photos, "--weights", net, "--epochs", 1, "--out", tmp_path / "run", "--limit-train-batches", 1
        ).status
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["net.bin"], "end it in .safetensors, .onnx, .xml, .caffemodel, or say --to"),
        (["net.onnx", "--int8"], "--int8 and --calibrate DATA belong together"),
        (["net.onnx", "--calibrate", "digits"], "--int8 and --calibrate DATA belong together"),
        (["net.onnx", "--to", "word"], "'word' is not one of"),
        (["net.safetensors", "--uint8-input"], "holds no graph"),
        (["net.onnx", "--int8", "--calibrate", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, weights_file: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    finished = run("convert", weights_file, tmp_path / arguments[0], *arguments[1:])
    assert finished.status == 2
    assert words in finished.error
    assert not (tmp_path / arguments[0]).exists()


def test_a_missing_folder_is_named(run, weights_file: Path, tmp_path: Path) -> None:
    finished = run("convert", weights_file, tmp_path / "nowhere/net.onnx")
    assert finished.status == 2
    assert finished.error.endswith(f"there is no folder {tmp_path / 'nowhere'}; make it, or write elsewhere")


def test_both_files_of_openvino_are_named(run, weights_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    shown = run("convert", weights_file, tmp_path / "net.xml").stdout
    assert f"{tmp_path / 'net.xml'} and {tmp_path / 'net.bin'}: openvino, " in shown


def test_a_calibration_by_a_few_images_is_said(run, weights_file: Path, photos: Path, tmp_path: Path) -> None:
    photo = next(photos.rglob("*.png"))
    finished = run("convert", weights_file, tmp_path / "net.onnx", "--int8", "--calibrate", photo.parent)
    assert finished.status == 0
    assert "images to calibrate on; give 256 of the kind that will come" in finished.stderr


def test_precisions_that_an_engine_has_not_are_one_line(run, weights_file: Path, photos: Path) -> None:
    photo = next(photos.rglob("*.png"))
    finished = run("predict", photo, "--weights", weights_file, "--engine", "onnxruntime", "--precision", "bf16")
    assert (finished.status, finished.error) == (
        2,
        "ONNX Runtime computes in fp32 here, not in bf16; use --engine openvino or torch",
    )
