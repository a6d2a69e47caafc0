from PIL import Image

from alexnet.experiments.claims.drawing import draw_effects, draw_lines
from alexnet.experiments.claims.finding import Effect


def test_more_effects_make_a_higher_picture(tmp_path):
    effect = Effect(what="x", unit="points", value=1.0, low=0.5, high=1.5, published=2.0)
    bare = Effect(what="y", unit="points", value=-1.0)
    draw_effects([effect], tmp_path / "one.png")
    draw_effects([effect, bare, effect], tmp_path / "three.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "three.png") as three:
        assert three.height > one.height
        assert len(one.convert("RGB").getcolors(1 << 20)) > 10


def test_lines_and_a_level_are_drawn(tmp_path):
    draw_lines({"a": ([0, 1], [1, 0]), "b": ([0, 1], [0, 1])}, tmp_path / "x.png", labels=("x", "y"), level=0.5)
    assert (tmp_path / "x.png").stat().st_size > 1000
