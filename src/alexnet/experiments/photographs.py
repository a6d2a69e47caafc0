"""Real photographs, named by the weights that come with the package: the left half of figure 4, without any download.

Claim: a net that fits into a few megabytes names what is on photographs that it never saw, and errs where none of its
    classes is there.
Setting: the shipped weights, central views; photographs inside scikit-image's wheel, two of them of one of the 200
    classes of Tiny ImageNet.
Report: the five most probable classes of each, and a picture of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from PIL.Image import Image

from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import MissingExtraError
from alexnet.pictures import draw_predictions
from alexnet.predict import Prediction, load
from alexnet.preprocess import open_image

# In scikit-image's wheel, with the WordNet id of what is on them; None: none of the 200 classes is.
PHOTOGRAPHS = {
    "chelsea.png": "n02123045",  # a tabby cat
    "coffee.png": "n07920052",  # an espresso
    "astronaut.png": None,
    "rocket.jpg": None,
    "motorcycle_left.png": None,
    "camera.png": None,
    "coins.png": None,
    "brick.png": None,
}
PICTURE = "photographs.png"
NOT_THERE = "none of its classes"
TOP = 5


@dataclass(frozen=True, kw_only=True)
class Named:
    """A photograph: what is on it, None where the net has no such class, and the net's ranked answers."""

    name: str
    image: Image
    truth: str | None
    answers: list[Prediction]


def name_photographs(weights: str = DEFAULT_WEIGHTS) -> list[Named]:
    """Classify the photographs.

    Raises:
        MissingExtraError: scikit-image or an engine is not installed.
        WeightsError: the weights are missing or damaged.
    """
    images = {name: _open(name) for name in PHOTOGRAPHS}
    classifier = load(weights)
    names = {info.wnid: info.name for info in classifier.classes}
    answers = classifier.predict_batch(list(images.values()), top=TOP)
    return [
        Named(name=name, image=images[name], truth=names.get(wnid) if wnid else None, answers=ranked)
        for (name, wnid), ranked in zip(PHOTOGRAPHS.items(), answers, strict=True)
    ]


def draw_photographs(named: Sequence[Named], folder: Path) -> None:
    """Draw the photographs with their answers into a folder.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    truths = [each.truth or NOT_THERE for each in named]
    draw_predictions(
        [each.image for each in named], [each.answers for each in named], truths, folder / PICTURE, columns=4
    )


def _open(name: str) -> Image:
    try:
        with as_file(files("skimage.data") / name) as path:
            return open_image(path)
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-image", "demo") from None
