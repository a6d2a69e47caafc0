"""In a process of its own: a wrong stack is a crash."""

import subprocess
import sys

import pytest

PROGRAM = """
import signal
import numpy as np
import openvino
from openvino import opset13
from alexnet.engines.signals import kept_signal_stack

def compiled():
    images = opset13.parameter([-1, 3, 8, 8], np.float32)
    with kept_signal_stack():
        return openvino.Core().compile_model(openvino.Model([opset13.relu(images)], [images]), "CPU")

models, seen = [compiled() for _ in range(3)], []
while models:
    del models[0]
signal.signal(signal.SIGINT, lambda *_: seen.append("handled"))
signal.raise_signal(signal.SIGINT)
print(*seen)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the stack is Linux's")
def test_ctrl_c_is_handled_after_models_went_in_the_order_they_came() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
