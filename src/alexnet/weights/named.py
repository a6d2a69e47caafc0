"""Weights that have names: those that come with the package, and official ones, fetched when they are first used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from alexnet.data.fetch import Download, fetch
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import WeightsError
from alexnet.weights.files import Weights, read_weights
from alexnet.weights.foreign import CAFFE, CAFFEMODEL, CAFFENET, COMPRESSED, PTH, TORCHVISION, read_foreign

SHIPPED = Path(__file__).with_name("shipped")  # where files of weights lie that come with the package

_BVLC = "http://dl.caffe.berkeleyvision.org/"


@dataclass(frozen=True, kw_only=True)
class NamedWeights:
    """Weights that `--weights` takes by `name`, one row of the table.

    about: what they are. download: None where they come with the package; `net`, `licence` and `errors` are then in
    their file, and None or empty here. errors: as published, each {data, split, views, top1_error, top5_error}.
    read: what makes weights of the file.
    """

    name: str
    about: str
    read: Callable[[Path], Weights]
    download: Download | None = None
    net: str | None = None
    licence: str | None = None
    errors: tuple[Mapping[str, Any], ...] = ()

    @property
    def path(self) -> Path:
        """Where the file is, or will be once it is fetched."""
        return self.download.path if self.download else SHIPPED / f"{self.name}.safetensors"

    @property
    def remedy(self) -> str:
        """What to do where the file is damaged."""
        return (
            "delete it: it is fetched again" if self.download else "install alexnet again: these weights come with it"
        )


def _published(top1_accuracy: float, top5_accuracy: float) -> tuple[Mapping[str, Any], ...]:
    """What was measured on the central crops of ILSVRC-2012's 50,000 validation images, from accuracies in percent."""
    top1_error, top5_error = (round(1 - accuracy / 100, 5) for accuracy in (top1_accuracy, top5_accuracy))
    measured = {"data": "ILSVRC-2012", "split": "val", "views": "center", "images": 50_000}
    return ({**measured, "top1_error": top1_error, "top5_error": top5_error},)


_ROWS = (
    NamedWeights(
        name=DEFAULT_WEIGHTS,
        about="trained by this package on Tiny ImageNet's 200 classes; comes with it",
        read=read_weights,
    ),
    # torchvision publishes the first eight digits of the sum, in the file's name; the others are those of its copies.
    NamedWeights(
        name="torchvision",
        about="torchvision's AlexNet_Weights.IMAGENET1K_V1",
        read=partial(read_foreign, kind=PTH, net=TORCHVISION),
        net=TORCHVISION,
        licence="BSD-3-Clause",
        errors=_published(56.522, 79.066),
        download=Download(
            name="torchvision",
            url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            checksum="sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            num_bytes=244_408_911,
        ),
    ),
    # Sums and errors of the Caffe nets: the readme beside each in BVLC/caffe, models/.
    NamedWeights(
        name="caffe",
        about="BVLC's AlexNet, iteration 360,000",
        read=partial(read_foreign, kind=CAFFEMODEL, net=CAFFE),
        net=CAFFE,
        licence="unrestricted use",
        errors=_published(57.1, 80.2),
        download=Download(
            name="caffe",
            url=f"{_BVLC}bvlc_alexnet.caffemodel",
            checksum="sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
            num_bytes=243_862_414,
        ),
    ),
    NamedWeights(
        name="caffenet",
        about="BVLC's CaffeNet, iteration 310,000",
        read=partial(read_foreign, kind=CAFFEMODEL, net=CAFFENET),
        net=CAFFENET,
        licence="unrestricted use",
        errors=_published(57.4, 80.4),
        download=Download(
            name="caffenet",
            url=f"{_BVLC}bvlc_reference_caffenet.caffemodel",
            checksum="sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
            num_bytes=243_862_414,  # ours, to some bytes: the arrays are those of `caffe`. Only shown
        ),
    ),
    # No sum was published. The header, and with it the length, is known from a description of the file (gearons.org,
    # Reverse engineering Deep Compression, 2017), and the reader wants the length that the header means.
    NamedWeights(
        name="deep-compression",
        about="Han, Mao and Dally's pruned and quantized AlexNet, without its last stage",
        read=partial(read_foreign, kind=COMPRESSED, net=CAFFE),
        net=CAFFE,
        licence="BSD-2-Clause",
        errors=_published(57.074, 80.254),
        download=Download(
            name="deep-compression",
            url="https://raw.githubusercontent.com/songhan/Deep-Compression-AlexNet/master/AlexNet_compressed.net",
            checksum=None,
            num_bytes=9_037_369,
        ),
    ),
)

NAMED: Mapping[str, NamedWeights] = {row.name: row for row in _ROWS}


def read_named(row: NamedWeights) -> Weights:
    """The weights of a row: read from where they are, fetched there first if need be.

    Raises:
        DownloadError: they are not in the cache folder, and cannot be downloaded.
        MissingExtraError: the same, and pooch is not installed.
        WeightsError: the file is damaged.
    """
    if row.download and not row.download.is_here:  # what is here needs no pooch, and no connection
        fetch(row.download)
    try:
        weights = row.read(row.path)
    except WeightsError as error:
        raise WeightsError(f"{error}; {row.remedy}") from None
    return replace(weights, errors=row.errors, licence=row.licence) if row.download else weights
