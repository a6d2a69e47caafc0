import pytest

from alexnet.experiments.claims import retrieval
from alexnet.experiments.claims.figure_4_right import CLAIM


def test_neighbours_by_features_are_compared_with_those_by_pixels(open_on_digits, digits_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval, "NUM_QUERIES", 40)
    monkeypatch.setattr(retrieval, "NUM_GALLERY", 200)
    found = CLAIM.run(open_on_digits(CLAIM, weights=(digits_runs[0],)))
    [effect] = found.effects
    assert effect.value == pytest.approx(100 * (found.details["by_features"] - found.details["by_pixels"]))
    assert (found.setting["layer"], found.setting["images"], found.setting["gallery"]) == ("fc4", 40, 200)
    found.draw(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
