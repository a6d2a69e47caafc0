"""The command line of the fuzzer: `make fuzz`, or `python -m tests.fuzz --help`."""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.fuzzer import Report, fuzz
from tests.fuzz.targets import TARGETS, set_up

FOLDER = Path("build/fuzz")


def main() -> int:
    """Fuzz what is named, two at a time on two cores, and print a table; exit status 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads other people's files.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all unless named: {', '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=1800, help="changed files for each target (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other inputs (%(default)s)")
    parser.add_argument("--again", type=Path, metavar="FOLDER", help="read one input that failed, of the TARGET named")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"unknown target {', '.join(unknown)}; known: {', '.join(TARGETS)}")
    set_up()
    if options.again:
        TARGETS[names[0]].lower_limits()
        for read in TARGETS[names[0]].reads:
            read(options.again / TARGETS[names[0]].opens)
        return 0
    print(f"{'target':<25}{'inputs':>8}{'kept':>7}{'branches':>20}{'failures':>10}", flush=True)

    def run(name: str) -> Report:
        return fuzz(name, options.inputs, options.seed, FOLDER / name.strip(".").replace(" ", "-"))

    reports = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, report in zip(names, pool.map(run, names), strict=True):
            _print(name, report)
            reports.append(report)
    print(f"{sum(report.inputs for report in reports):,} inputs")
    return int(any(report.failures for report in reports))


def _print(name: str, report: Report) -> None:
    reached, of = report.branches
    share = f"{reached} of {of} {reached / of:>6.1%}"
    print(f"{name:<25}{report.inputs:>8,}{report.kept:>7,}{share:>20}{len(report.failures):>10}", flush=True)
    for what, where in report.failures.items():
        print(f"  {what}\n    python -m tests.fuzz {name!r} --again {where}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
