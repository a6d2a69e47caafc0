"""The GPU work that one lease of a machine is for, in order of worth: flagship, its small file, seeds, claims.

    python bench/gpu_flagship.py tiny-imagenet --out OUT --minutes 25     on one H100 or H200
    python bench/gpu_flagship.py digits --out OUT --minutes 2 --quick     the script itself, where there is no GPU

Correctness comes first: nothing is trained where it fails. Then every step is an `alexnet` command, so that each can be
typed again alone. A step that the time does not suffice for is stopped with Ctrl-C, which saves where it stands, and is
named with those that are left; called again, all goes on from there. What is small is copied to OUT: logs, the coded
weights, results of claims, kernels of the population. A table is printed last. The flagship is trained by the net's own
recipe alone: variations are chosen before, on a part of the training images.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from alexnet.atomic import write_whole

CLAIMS = ("lrn", "overlap", "towers", "talk", "dropout", "pca-colour", "crops-flips", "middle-layers", "weight-decay")
SEEDS = {"every-run": ("--seeds", "6")}  # fewer can prove nothing
SECONDS_TO_SAVE = 60
KEPT = ("metrics.jsonl", "run.json", "curves.png")


@dataclass(frozen=True)
class Step:
    """A command; the path that says it is done already, and the one that says it was begun."""

    name: str
    words: tuple[str, ...]
    done: Path | None = None
    begun: Path | None = None


def steps(data: str, out: Path, *, quick: bool, epochs: int, mib: float) -> list[Step]:
    """What is run, in order of worth."""
    flagship, small = run_folder(data), out / "small.safetensors"
    net = "digits" if quick else "krizhevsky-145"
    coding = ("--mib", str(mib), "--licence", "MIT", "--json")
    train = ("train", data, "--net", net, "--recipe", net, "--epochs", str(epochs), "--out", str(flagship))
    limit = ("--limit-train-batches", "2", "--epochs", "2") if quick else ()
    claims = ("lrn", "dropout") if quick else ("every-run", *CLAIMS)
    return [
        Step("flagship", train, begun=flagship / "run.json"),
        Step("centre view", ("evaluate", data, "--weights", str(flagship), "--json")),
        Step("ten views", ("evaluate", data, "--weights", str(flagship), "--views", "ten", "--json")),
        Step(
            "small file",
            ("compress", str(flagship), str(small), "--data", data, *limit, *coding),
            done=small,
            begun=small.with_name(small.name + ".runs"),
        ),
        Step("small file, ten views", ("evaluate", data, "--weights", str(small), "--views", "ten", "--json")),
        *(
            Step(name, ("claims", name, "--data", data, *limit, "--resume", "--json", *SEEDS.get(name, ())))
            for name in claims
        ),
    ]


def run_folder(data: str) -> Path:
    """Where the flagship is trained."""
    return Path("runs") / f"flagship-{Path(data).name}"


def run(step: Step, out: Path, until: float) -> str:
    """What came of it, in a line, or why nothing did; its JSON, where it prints one, is kept in `out`."""
    kept = out / f"{step.name.replace(',', '').replace(' ', '-')}.json"
    if step.done and step.done.exists():
        return in_a_line(json.loads(kept.read_text("utf-8"))) if kept.exists() else "done before"
    left = until - monotonic() - SECONDS_TO_SAVE
    if left <= 0:
        return "left: no time"
    resume = ("--resume",) if step.begun and step.begun.exists() else ()
    command = [sys.executable, "-m", "alexnet", *step.words, *resume]
    print("$ alexnet", *command[3:], flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            shown, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.communicate()
            return "left: stopped, can be resumed"
    if process.returncode:
        return f"exit {process.returncode}"
    if "--json" not in step.words:
        return shown.strip()
    found = json.loads(shown)
    with write_whole(kept) as temporary:
        temporary.write_text(shown, encoding="utf-8")
    return in_a_line(found)


def in_a_line(found: dict[str, Any]) -> str:
    """What a command's JSON comes to: a claim's finding, the stages of a small file, or errors."""
    if "ours" in found:
        return f"{found['ours']} [{found['verdict']}]"
    if "stages" in found:
        return "; ".join(f"{each['name']} {each['bytes'] / 1e6:.2f} MB {_errors(each)}" for each in found["stages"])
    return f"{_errors(found)}, {found['views']} view, {found['images']:,} images"


def _errors(found: dict[str, Any]) -> str:
    return " / ".join(f"{found[key]:.2%}" for key in ("top1_error", "top5_error") if found[key] is not None)


def keep(data: str, out: Path) -> None:
    """Copy what is small."""
    for name in KEPT:
        if (path := run_folder(data) / name).exists():
            shutil.copy(path, out / f"flagship-{name}")
    for folder in ("claims", "population"):
        if (Path("results") / folder).is_dir():
            shutil.copytree(Path("results") / folder, out / folder, dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="what `alexnet train` takes: Tiny ImageNet")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is small")
    parser.add_argument("--minutes", type=float, default=25, help="for all of it")
    parser.add_argument("--epochs", type=int, default=90, help="of the flagship")
    parser.add_argument("--mib", type=float, default=4, help="size of the small file")
    parser.add_argument("--quick", action="store_true", help="the digits, a few steps each: is the script sound?")
    asked = parser.parse_args()
    until = monotonic() + 60 * asked.minutes
    asked.out.mkdir(parents=True, exist_ok=True)
    checks = ["--device", "cpu", "--quick"] if asked.quick else ["--quick"]
    subprocess.run([sys.executable, str(Path(__file__).with_name("gpu.py")), *checks], check=True)
    epochs, mib = (2, 0.2) if asked.quick else (asked.epochs, asked.mib)
    table = []
    for step in steps(asked.data, asked.out, quick=asked.quick, epochs=epochs, mib=mib):
        table.append((step.name, run(step, asked.out, until)))
        keep(asked.data, asked.out)
    (asked.out / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    for name, what in table:
        print(f"{name:22} {what}")


if __name__ == "__main__":
    main()
