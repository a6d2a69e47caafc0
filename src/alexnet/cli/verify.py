"""`alexnet verify WEIGHTS`."""

from typing import Annotated

import typer

from alexnet.cli.output import AsJson, print_json

EXAMPLE = "tiny-imagenet-200"


def verify(
    weights: Annotated[str, typer.Argument(help="A run folder, a file, or a name.", metavar="WEIGHTS")],
    json: AsJson = False,
) -> None:
    """Check that weights still compute what they computed when they were saved, and say what is wrong if not."""
    from dataclasses import asdict

    from alexnet.verify import verify as check

    found = check(weights)
    if json:
        print_json({"weights": weights, "verified": True, **asdict(found)})
    else:
        how = "as saved" if found.checksummed else "as saved, by its logits only (saved without checksums)"
        print(
            f"{weights}: {how}; the probe's logits differ by {found.largest_difference:.2g}, "
            f"where {found.tolerance:.2g} is allowed"
        )
