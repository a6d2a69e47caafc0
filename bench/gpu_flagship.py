"""The GPU work that one lease of a machine is for, in order of worth: flagship, its small file, seeds, claims.

    export PYTHONPATH=src    where the package is not installed
    python bench/gpu_flagship.py tiny-imagenet --cifar cifar10 --out runs/gpu --minutes 9     on one H100 or H200
    python bench/gpu_flagship.py digits --out runs/gpu --minutes 5 --quick     the script itself, where there is no GPU

Both sets are folders of shards here. Correctness comes first: nothing is trained where it fails. Then the flagship's
recipe and rate are chosen on a part of the training images (`gpu_choice.py`), and all else follows (`gpu_steps.py`).
Every step is a command, so that each can be typed again alone. A step that the time does not suffice for is stopped
with Ctrl-C, which saves where it stands; one that needs what another has not found is left, and so is a claim that none
of the data can show. A table that names them all is printed last. Called again, all goes on from there.

All is under OUT, a folder that git ignores, or one in memory, which is faster: every epoch writes most of a gigabyte.
OUT/kept is small: logs, errors, the coded weights, results of claims, kernels of the population. OUT/kept.tar.gz is all
of that in one file, made anew after every step, to bring home. OUT/runs is large.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from alexnet.atomic import write_whole
from alexnet.errors import AlexNetError
from gpu_steps import Plan, Step, kept_result, steps

SECONDS_TO_SAVE = 60
LOGS = ("metrics.jsonl", "run.json", "curves.png")

Found = dict[str, Any]


class LeftError(Exception):
    """A step has found nothing; why."""


def find(step: Step, plan: Plan, found: Mapping[str, Found], until: float) -> Found:
    """What the step's command prints as JSON, which is kept; read from there where it is kept already.

    Raises:
        LeftError: it cannot be run, has failed, or there is no time left.
    """
    kept = kept_result(step.name, plan)
    if not kept.exists():
        shown = _run(step, found, until)
        with write_whole(kept) as temporary:
            temporary.write_text(shown, encoding="utf-8")
    result: Found = json.loads(kept.read_text("utf-8"))
    return result


def _run(step: Step, found: Mapping[str, Found], until: float) -> str:
    if step.refused:
        raise LeftError(f"left: {step.refused}")
    if missing := [name for name in step.needs if name not in found]:
        raise LeftError(f"left: needs {', '.join(missing)}")
    left = until - monotonic() - SECONDS_TO_SAVE
    if left <= 0:
        raise LeftError("left: no time")
    resume = ("--resume",) if step.begun and step.begun.exists() else ()
    print(f"\n== {step.name}\n$ {' '.join(('python', *step.command[1:], *resume))}", flush=True)
    with subprocess.Popen([*step.command, *resume], stdout=subprocess.PIPE, text=True) as process:
        try:
            shown, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise LeftError("left: stopped, can be resumed") from None
    if process.returncode:
        raise LeftError(f"failed: exit {process.returncode}")
    return shown


def in_a_line(found: Found) -> str:
    """What a command's JSON comes to: a claim's finding, the stages of a small file, variations, or errors."""
    if "ours" in found:
        return f"{found['ours']} [{found['verdict']}]"
    if "stages" in found:
        return "; ".join(f"{each['name']} {each['bytes'] / 1e6:.2f} MB {_errors(each)}" for each in found["stages"])
    if "tried" in found:
        tried = "; ".join(f"{' '.join(map(str, each['options'].values()))} {_errors(each)}" for each in found["tried"])
        return f"{tried}, {found['images']:,} training images held out"
    found = found.get("evaluation", found)
    return f"{_errors(found)}, {found['views']} view, {found['images']:,} images"


def _errors(found: Found) -> str:
    errors = [found[key] for key in ("top1_error", "top5_error") if found.get(key) is not None]
    return " / ".join(f"{error:.2%}" for error in errors) or "diverged"


def keep(plan: Plan, table: Mapping[str, str]) -> None:
    """The table so far, copies of what is small of the runs, and all that in one file."""
    (plan.kept / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    for name in LOGS:
        if (path := plan.flagship / name).exists():
            shutil.copy(path, plan.kept / f"flagship-{name}")
    if plan.small.exists():
        shutil.copy(plan.small, plan.kept)
    with write_whole(plan.out / "kept.tar.gz") as temporary, tarfile.open(temporary, "w:gz") as archive:
        archive.add(plan.kept, plan.kept.name)


def check(plan: Plan) -> None:
    """Leave where the device computes something else than it should, or there is none; once for all calls."""
    script, done = Path(__file__).with_name("gpu.py"), plan.out / "checked"
    if done.exists():
        return
    device = ("--device", "cpu") if plan.quick else ()
    if code := subprocess.run([sys.executable, str(script), "--checks", *device], check=False).returncode:
        sys.exit(f"{script.name} failed, exit {code}: nothing is trained")
    done.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="what `alexnet train` takes: Tiny ImageNet")
    parser.add_argument("--cifar", metavar="DATA", help="CIFAR-10; without, the claims that it alone shows are left")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--minutes", type=float, default=25, help="for all of it")
    parser.add_argument("--epochs", type=int, default=90, help="of the flagship; a tenth of them of each variation")
    parser.add_argument("--mib", type=float, default=4, help="size of the small file")
    parser.add_argument("--quick", action="store_true", help="the digits, a few steps each: is the script sound?")
    asked = parser.parse_args()
    until = monotonic() + 60 * asked.minutes
    epochs, mib = (2, 0.2) if asked.quick else (asked.epochs, asked.mib)
    plan = Plan(data=asked.data, cifar=asked.cifar, out=asked.out, epochs=epochs, mib=mib, quick=asked.quick)
    try:
        print(*plan.facts.values(), sep="\n", flush=True)
    except AlexNetError as error:
        parser.error(str(error))
    plan.kept.mkdir(parents=True, exist_ok=True)
    check(plan)
    found: dict[str, Found] = {}
    table: dict[str, str] = {}
    for step in steps(plan):
        try:
            found[step.name] = find(step, plan, found, until)
            table[step.name] = in_a_line(found[step.name])
        except LeftError as why:
            table[step.name] = str(why)
        keep(plan, table)
    print()
    for name, what in table.items():
        print(f"{name:23} {what}")


if __name__ == "__main__":
    main()
