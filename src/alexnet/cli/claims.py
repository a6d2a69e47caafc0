"""`alexnet claims [NAME]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alexnet.cli.options import WORKERS, Workers
from alexnet.cli.output import AsJson, print_facts, print_json

EXAMPLE = "lrn --data tiny-imagenet --seeds 3"


def claims(
    name: Annotated[str | None, typer.Argument(help="The claim to try; without, all are listed.")] = None,
    data: Annotated[str | None, typer.Option(help="What to try it on.", metavar="DATA")] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="Trained weights, for claims about such; may be repeated.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Runs of each kind, with the seeds 0, 1, ... Default: the setting's.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data; transfer: the parent's. Default: the setting's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results are kept.")] = Path("results/claims"),
    runs: Annotated[Path, typer.Option(help="Where runs are kept, which claims share.")] = Path("runs/claims"),
    population: Annotated[Path, typer.Option(help="Where every-run keeps first-layer kernels.")] = Path(
        "results/population"
    ),
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")] = "auto",
    workers: Workers = WORKERS,
    limit_train_batches: Annotated[int | None, typer.Option(min=1, help="Steps an epoch at most.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    json: AsJson = False,
) -> None:
    """List the paper's claims with the published numbers and ours, or try one."""
    from alexnet.cli.progress import Watcher
    from alexnet.errors import InputError
    from alexnet.experiments.claims import find_claim
    from alexnet.experiments.claims.claim import Asked
    from alexnet.experiments.claims.report import run_claim
    from alexnet.memory import keep_memory

    if name is None:
        if any((data, weights, seeds, epochs, limit_train_batches, resume)):
            raise InputError("which claim? name it first: alexnet claims NAME --data DATA; alexnet claims lists them")
        _list(out, json)
        return
    claim = find_claim(name)
    if data is None:
        known = ", ".join(setting.name for setting in claim.settings)
        raise InputError(f"claim {name} is tried on DATA ({known}): alexnet claims {name} --data DATA")
    keep_memory()
    asked = Asked(
        data=data,
        weights=tuple(weights or ()),
        seeds=seeds,
        epochs=epochs,
        out=out,
        runs=runs,
        population=population,
        device=device,
        workers=workers,
        limit_train_batches=limit_train_batches,
        resume=resume,
    )
    result = run_claim(claim, asked, Watcher())
    if json:
        print_json(result)
    else:
        _print_result(result, out)


def _list(out: Path, json: bool) -> None:
    from alexnet.experiments.claims import CLAIMS
    from alexnet.experiments.claims.report import read_results

    found = read_results(out)
    if json:
        print_json(
            {
                "claims": [
                    {
                        "name": claim.name,
                        "statement": claim.statement,
                        "source": claim.source,
                        "published": claim.published,
                        "author_log": claim.author_log,
                        "settings": [setting.name for setting in claim.settings],
                        "results": [result for result in found if result["claim"] == claim.name],
                    }
                    for claim in CLAIMS.values()
                ]
            }
        )
        return
    for claim in CLAIMS.values():
        ours = [fact for result in found if result["claim"] == claim.name for fact in _facts_of(result)]
        print(f"{claim.name}: {claim.statement} ({claim.source})")
        print_facts([*_facts_published(claim.published, claim.author_log), *(ours or [("ours", "not run here")])])
        print()


def _facts_published(published: str, author_log: str | None) -> list[tuple[str, str]]:
    return [("published", published), ("author's log", author_log or "none")]


def _facts_of(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    verdict = result["verdict"] or "judge by the picture"
    return [("ours", result["ours"]), ("setting", result["setting_line"]), ("verdict", verdict)]


def _print_result(result: Mapping[str, Any], kept_in: Path) -> None:
    print(f"{result['claim']}: {result['statement']} ({result['source']})\n")
    print_facts(
        [
            *_facts_published(result["published"], result["author_log"]),
            *_facts_of(result),
            ("rule", result["rule"]),
            ("intervals", result["covers"]),
            ("kept in", str(kept_in)),
        ]
    )
