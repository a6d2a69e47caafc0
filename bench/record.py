"""Where a figure was measured and with what: a line of JSON in results/bench/NAME.jsonl for every run of a script."""

import json
import os
import platform
import shlex
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from alexnet.cores import usable_cores

RESULTS = Path(__file__).resolve().parent.parent / "results" / "bench"
PACKAGES = ("alexnet", "torch", "numpy", "pillow", "onnxruntime", "openvino", "simplejpeg")
UNITS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")  # what decides the speed of products


def record(name: str, figures: dict[str, Any]) -> None:
    """Append `figures` to results/bench/`name`.jsonl, with machine, versions and the command that measured them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    line = {
        "date": f"{date.today()}",
        "command": shlex.join(["python", *sys.argv]),
        "machine": describe_machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "figures": figures,
    }
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, the fast units it has, and how busy it is with other work."""
    info = dict(_cpu_lines())
    flags = set(info.get("flags", info.get("Features", "")).split())
    return {
        "processor": info.get("model name", platform.processor()),
        "cores": usable_cores(),
        "units": [unit for unit in UNITS if unit in flags],
        "load_average": round(os.getloadavg()[0], 1),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median with the smallest and the largest."""
    return {"median": median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def _cpu_lines() -> list[tuple[str, str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [(key.strip(), value.strip()) for key, colon, value in (line.partition(":") for line in lines) if colon]


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
