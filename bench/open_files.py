"""How long does a file of weights take to open, and how much memory, by format?

    .venv/bin/python bench/open_files.py [FORMAT...]

Random weights of the net `caffe`, 244 MB, are written in each format and opened in a process of their own: every number
in them is looked at, as `find_weights` does. The seconds are of `find_weights` alone, after the import, the file in the
system's cache; the memory is what the process had at most beyond what it had before it: of its own, and with the pages
of the file, which the system shares and takes back at will. `shifted` is a file whose numbers begin at odd bytes.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.interop.protobuf import write_text
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, save_weights
from alexnet.weights.caffe_writer import save_caffe
from alexnet.weights.check import tensor_shapes
from record import record, spread

ROUNDS = 5

OPEN = """
import json, sys, threading, time
from alexnet.weights import find_weights
import google.protobuf.text_format

def memory():
    lines = dict(line.split(":") for line in open("/proc/self/status") if ":" in line)
    lines = {key: lines[key] for key in ("VmHWM", "VmRSS", "RssAnon")}
    return {key: int(value.split()[0]) / 1024 for key, value in lines.items()}

before, own, done = memory(), [0.0], threading.Event()

def watch():
    while not done.wait(0.002):
        own[0] = max(own[0], memory()["RssAnon"])

thread = threading.Thread(target=watch)
thread.start()
start = time.perf_counter()
weights = find_weights(sys.argv[1])
seconds = time.perf_counter() - start
done.set()
thread.join()
after = memory()
own = max(own[0], after["RssAnon"]) - before["RssAnon"]
print(json.dumps({"seconds": seconds, "own_mib": own, "all_mib": after["VmHWM"] - before["VmRSS"]}))
"""


def shifted(path: Path, weights: Weights) -> None:
    """A file as others write them: a name of three bytes more moves all numbers to odd places."""
    save_caffe(path, weights)
    path.write_bytes(write_text(1, "x") + path.read_bytes())


WRITERS: Mapping[str, tuple[str, Callable[[Path, Weights], None]]] = {
    "safetensors": (".safetensors", save_weights),
    "caffe": (".caffemodel", save_caffe),
    "caffe-v1": (".caffemodel", lambda path, weights: save_caffe(path, weights, v1=True)),
    "caffe-shifted": (".caffemodel", shifted),
}


def random_weights() -> Weights:
    spec, rng = find("caffe"), np.random.default_rng(0)
    tensors = {key: rng.standard_normal(shape, np.float32) for key, shape in tensor_shapes(spec).items()}
    images = Preprocessing(resize=(256, 256), crop=227, channel_order="BGR", mean=(104.0, 117.0, 123.0))
    return Weights(spec=spec, classes=unnamed_classes(1000), preprocessing=images, tensors=tensors)


def opened(path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main(formats: list[str]) -> None:
    weights, found = random_weights(), {}
    print(f"median of {ROUNDS} (smallest to largest)")
    with TemporaryDirectory() as folder:
        for form in formats or WRITERS:
            suffix, write = WRITERS[form]
            path = Path(folder) / f"net{suffix}"
            write(path, weights)
            megabytes = path.stat().st_size / 1e6
            rounds = [opened(path) for _ in range(ROUNDS)]
            found[form] = {key: spread([each[key] for each in rounds]) for key in rounds[0]}
            seconds, own, everything = (found[form][key] for key in ("seconds", "own_mib", "all_mib"))
            print(
                f"{form:14} {megabytes:6.1f} MB: {seconds['median']:5.2f} s ({seconds['min']:.2f} to "
                f"{seconds['max']:.2f}), {own['median']:6.1f} MiB of its own, "
                f"{everything['median']:6.1f} MiB with the file"
            )
            for each in Path(folder).iterdir():
                each.unlink()
    record("open_files", found)


if __name__ == "__main__":
    main(sys.argv[1:])
