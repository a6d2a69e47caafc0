import pytest

from alexnet.experiments.claims import retrieval
from alexnet.experiments.claims.codes import CLAIM


def test_four_ways_are_compared_and_their_bits_said(open_on_digits, digits_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval, "NUM_QUERIES", 40)
    monkeypatch.setattr(retrieval, "NUM_GALLERY", 200)
    found = CLAIM.run(open_on_digits(CLAIM, weights=(digits_runs[0],)))
    assert found.setting["bits"] == {"codes": 128, "pixel codes": 3072}
    assert (found.setting["images"], found.setting["gallery"]) == (40, 200)
    shares = found.details
    assert [effect.value for effect in found.effects] == pytest.approx(
        [
            100 * (shares["codes"] - shares["pixel codes"]),
            100 * (shares["features"] - shares["pixels"]),
            100 * (shares["codes"] - shares["features"]),
        ]
    )
    assert found.verdict == found.effects[0].verdict
    found.draw(tmp_path / "codes.png")
    assert (tmp_path / "codes.png").exists()
