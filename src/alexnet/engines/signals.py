"""The stack on which this thread's signals are handled, kept from libraries that borrow it."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux's signal.h."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """After the block, signals are handled where they were before it.

    OpenVINO sets a stack of its own with every core's plugin and every model and, when that goes, sets the one it had
    found. Of two that go in the order they came, the second brings back the first one's, which is freed by then: the
    next Ctrl-C would crash the process. With the stack put back at once, each of them finds the right one.
    """
    if sys.platform != "linux":
        yield
        return
    set_stack, found = ctypes.CDLL(None).sigaltstack, _Stack()
    set_stack(None, ctypes.byref(found))
    try:
        yield
    finally:
        set_stack(ctypes.byref(found), None)
