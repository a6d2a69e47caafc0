"""What `gpu_flagship.py` runs, in order of worth: a choice, the flagship, its small file, seeds, claims."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet.data.datasets import open_data
from alexnet.experiments.claims import find_claim
from alexnet.experiments.claims.claim import Asked, Claim
from alexnet.experiments.claims.settings import DataFacts
from alexnet.experiments.claims.study import describe, open_study
from alexnet.experiments.claims.training import FINISHED, LAST, Run, folder_of
from alexnet.train.observer import Silent
from alexnet.weights.catalog import RUN_FILE

Words = tuple[str, ...]

CLAIMS = (
    *("ten-views", "figure-3", "figure-4-left", "figure-4-right", "codes"),  # of the flagship: they take no training
    *("every-run", "figure-1", "stall", "lrn-cifar", "lrn", "overlap", "towers", "talk", "dropout", "pca-colour"),
    *("crops-flips", "middle-layers", "weight-decay", "ensemble", "transfer"),
)
OPTIONS = {"every-run": ("--seeds", "6")}  # fewer can prove nothing
IN_ENSEMBLE = 5  # as in the paper
FEW = 2  # epochs, their steps, and seeds, where it is to be quick
LIMIT = ("--limit-train-batches", str(FEW))
SHORT = (*LIMIT, "--epochs", str(FEW))


@dataclass(frozen=True)
class Step:
    """A command that prints JSON; the path that says it was begun; the steps whose results it needs.

    refused: why it cannot be run at all.
    """

    name: str
    command: Words = ()
    begun: Path | None = None
    needs: Words = ()
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked for: data as `alexnet train` takes it, the folder of everything, epochs of the flagship, MiB of its
    small file. quick: a few steps each, of the net for digits.
    """

    data: str
    cifar: str | None
    out: Path
    epochs: int
    mib: float
    quick: bool

    @property
    def net(self) -> str:
        """The flagship's."""
        return "digits" if self.quick else "krizhevsky-145"

    @property
    def kept(self) -> Path:
        """Where all is that is small."""
        return self.out / "kept"

    @property
    def runs(self) -> Path:
        """Where all is that is large."""
        return self.out / "runs"

    @property
    def flagship(self) -> Path:
        """Its run folder."""
        return self.runs / "flagship"

    @property
    def weights(self) -> Path:
        """The flagship's last ones: the best are chosen on the images that they are then measured on."""
        return self.flagship / LAST

    @property
    def small(self) -> Path:
        """Its coded weights."""
        return self.runs / "small.safetensors"

    @cached_property
    def facts(self) -> dict[str, DataFacts]:
        """What there is to say of each data set, that of the flagship first."""
        return {data: describe(open_data(data)) for data in (self.data, self.cifar) if data}


def steps(plan: Plan) -> Iterator[Step]:
    """Each is made when those before it have been run, of which it takes what they have found."""
    yield _choice(plan)
    yield from _flagship(plan)
    for name in CLAIMS:
        yield _claim(find_claim(name), plan)


def kept_result(step: str, plan: Plan) -> Path:
    """Where the JSON of a step is kept: it is done once that is there."""
    return plan.kept / f"{step.replace(',', '').replace(' ', '-')}.json"


def _alexnet(*words: str | Path) -> Words:
    return (sys.executable, "-m", "alexnet", *map(str, words), "--json")


def _choice(plan: Plan) -> Step:
    script = str(Path(__file__).with_name("gpu_choice.py"))
    epochs = max(2, plan.epochs // 10)
    words = (plan.data, "--net", plan.net, "--epochs", str(epochs), "--out", str(plan.runs / "choice"))
    return Step("choice", (sys.executable, script, *words, *(LIMIT if plan.quick else ())))


def _chosen(plan: Plan) -> Words:
    """The options of the best variation."""
    path = kept_result("choice", plan)
    if not path.exists():
        return ()
    best = json.loads(path.read_text("utf-8"))["tried"][0]["options"]
    return tuple(word for name, value in best.items() for word in (f"--{name.replace('_', '-')}", str(value)))


def _flagship(plan: Plan) -> Iterator[Step]:
    """Trained, measured, made small."""
    data, weights, small = plan.data, plan.weights, plan.small
    how = ("--net", plan.net, *_chosen(plan), "--epochs", str(plan.epochs))
    train = _alexnet("train", data, *how, "--out", plan.flagship)
    yield Step("flagship", train, begun=plan.flagship / RUN_FILE, needs=("choice",))
    evaluate = _alexnet("evaluate", data, "--weights", weights)
    yield Step("flagship, centre view", evaluate, needs=("flagship",))
    yield Step("flagship, ten views", (*evaluate, "--views", "ten"), needs=("flagship",))
    short = SHORT if plan.quick else ()
    side = str(plan.facts[data].side)  # larger pictures are reduced to what the net has learned from
    how = ("--mib", str(plan.mib), "--licence", "MIT", "--reduce-to", side, *short)
    coding = _alexnet("compress", weights, small, "--data", data, *how)
    yield Step("small file", coding, begun=small.with_name(f"{small.name}.runs"), needs=("flagship",))
    of_small = _alexnet("evaluate", data, "--weights", small, "--views", "ten")
    yield Step("small file, ten views", of_small, needs=("small file",))


def _claim(claim: Claim, plan: Plan) -> Step:
    """Left where none of the data can show it."""
    data = _fitting(claim, plan)
    if data is None:
        wanted = ", or ".join(f"{setting.fits} ({setting.name})" for setting in claim.settings)
        return Step(claim.name, refused=f"needs {wanted}")
    folders = ("--out", plan.kept / "claims", "--runs", plan.runs / "claims", "--population", plan.kept / "population")
    trial = _alexnet("claims", claim.name, "--data", data, *folders, "--resume")
    if claim.num_weights is None:
        options = (*SHORT, "--seeds", str(FEW)) if plan.quick else OPTIONS.get(claim.name, ())
        return Step(claim.name, (*trial, *options))
    needs, weights = ("flagship", [plan.weights]) if claim.num_weights == (1, 1) else ("lrn", _published_nets(plan))
    named = (word for path in weights for word in ("--weights", str(path)))
    return Step(claim.name, (*trial, *named), needs=(needs,))


def _fitting(claim: Claim, plan: Plan) -> str | None:
    """The first data that can show a claim; of the flagship's own where it is about trained weights."""
    places = [plan.data] if claim.num_weights else plan.facts
    fitting = (data for data in places if any(setting.fits(plan.facts[data]) for setting in claim.settings))
    return next(fitting, None)


def _published_nets(plan: Plan) -> list[Path]:
    """The finished runs of the net as published, by several seeds, which `lrn` shares with other claims."""
    lrn = find_claim("lrn")
    if _fitting(lrn, plan) != plan.data:
        return []
    few = FEW if plan.quick else None
    asked = Asked(data=plan.data, runs=plan.runs / "claims", epochs=few, limit_train_batches=few)
    study = open_study(lrn, asked, Silent())
    setting = study.setting
    folders = (
        folder_of(Run(net=setting.net, recipe=setting.recipe, epochs=setting.epochs, seed=seed), study, study.dataset)
        for seed in range(IN_ENSEMBLE)
    )
    return [folder for folder in folders if (folder / FINISHED).is_file()]
