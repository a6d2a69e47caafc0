"""`alexnet prepare SRC DST`."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.failures import INTERRUPTED
from alexnet.cli.options import ClassOrder, GroundTruth
from alexnet.cli.output import AsJson, print_json, print_table
from alexnet.cli.progress import say
from alexnet.cores import usable_cores

if TYPE_CHECKING:
    from alexnet.data.prepare.report import Report

EXAMPLE = "imagenet imagenet-256"

NUM_NAMED = 10


def prepare(
    src: Annotated[
        str, typer.Argument(metavar="SRC", help="Class folders, ILSVRC as distributed, an archive, shards ...")
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="A new folder, or the one of a stopped preparation.")],
    size: Annotated[int, typer.Option(min=1, help="Side of the square images, in pixels.")] = 256,
    fit: Annotated[
        Literal["center", "warp"], typer.Option(help="Cut out the central square (2012), or squeeze (Caffe).")
    ] = "center",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG files.")] = 95,
    shard_images: Annotated[int, typer.Option(min=1, help="Images a shard: what an interruption may cost.")] = 2000,
    ground_truth: GroundTruth = None,
    class_order: ClassOrder = "sorted",
    max_damaged: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of damaged images to go on without; ten always are.")
    ] = 0.01,
    workers: Annotated[int, typer.Option(min=1, help="Threads.", show_default="all cores")] = usable_cores(),
    json: AsJson = False,
) -> None:
    """Make small square images in shards, with statistics, of any image tree. The same command goes on after a stop."""
    from alexnet.cli.progress import Watcher
    from alexnet.data.prepare.options import PrepareOptions
    from alexnet.data.prepare.run import prepare as run

    options = PrepareOptions(
        size=size,
        fit=fit,
        quality=quality,
        shard_images=shard_images,
        ground_truth=ground_truth,
        class_order=class_order,
        max_damaged=max_damaged,
    )
    try:
        done = run(src, dst, options, Watcher(), workers)
    except KeyboardInterrupt:
        say("alexnet: interrupted; the same command goes on from the last whole shard")
        raise typer.Exit(INTERRUPTED) from None
    report = done.report
    _name_damaged(report, dst)
    rate = done.num_done / done.seconds
    if json:
        print_json(
            {
                "out": str(dst),
                "images": report.images,
                "classes": report.classes,
                "damaged": sum(report.damaged.values()),
                "odd": {**report.odd, **report.damaged},
                "shards": len(report.shards),
                "seconds": round(done.seconds, 3),
                "images_per_second": round(rate, 1),
            }
        )
    else:
        _print(report, dst, f"{rate:,.0f} images/s" if done.num_done else "it was complete already")


def _print(report: "Report", dst: Path, rate: str) -> None:
    from alexnet.data.odd import DAMAGED, ODD
    from alexnet.data.trees import list_suffixes

    if found := {**report.odd, **report.damaged}:
        rows = [(kind, f"{found[kind]:,}", done) for kind, done in {**ODD, **DAMAGED}.items() if kind in found]
        print_table({"odd files": "left", "images": "right", "what was done": "left"}, rows)
        print()
    if report.unlabelled:
        print(f"{report.unlabelled:,} images have no class (no folder of it, or none among those of train): left out")
    if report.passed_over:
        print(f"no images by their names: {list_suffixes(report.passed_over)}")
    counts = ", ".join(f"{split} {count:,}" for split, count in report.images.items())
    print(f"{dst}: {counts} images of {report.classes:,} classes in {len(report.shards):,} shards, {rate}")


def _name_damaged(report: "Report", dst: Path) -> None:
    """The first of the images that were left out, on stderr, where they are seen beside a `--json`."""
    from alexnet.data.prepare.report import read_damaged
    from alexnet.data.prepared import DAMAGED

    total = sum(report.damaged.values())
    for each in islice(read_damaged(dst), NUM_NAMED):
        say(f"left out: {each.path if each.path.isprintable() else ascii(each.path)}: {each.reason}")
    if total > NUM_NAMED:
        say(f"... {total:,} in all; {dst / DAMAGED} lists them")
