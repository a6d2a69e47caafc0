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


ENGINES = """
import ctypes, gc
import numpy as np
from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.engines.openvino import OpenVINOEngine
from alexnet.engines.signals import _Stack
from alexnet.nn import create
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights

def stack():
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.start, found.size

tensors = {key: tensor.numpy() for key, tensor in create("digits", seed=0).state_dict().items()}
preprocessing = Preprocessing(resize=18, crop=16)
weights = Weights(spec=find("digits"), classes=unnamed_classes(10), preprocessing=preprocessing, tensors=tensors)
before, engines = stack(), []
for _ in range(2):
    engines.append(OpenVINOEngine(weights))
    engines[-1].logits(np.zeros((2, 3, 16, 16), np.uint8))
while engines:
    del engines[0]
    gc.collect()
print(stack() == before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the stack is Linux's")
def test_engines_come_and_go_and_the_stack_stays() -> None:
    pytest.importorskip("openvino")
    command = [sys.executable, "-X", "faulthandler", "-c", ENGINES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
