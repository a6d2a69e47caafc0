"""Ctrl-C and a scheduler's notice wait for the end of a step, so that what is saved is never half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# A terminal that is closed sends SIGHUP; Windows has none.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(Exception):  # noqa: N818  not an error: someone asked for it
    """Raised between two steps after someone asked to stop."""


class StopRequest:
    """Whether someone has asked to stop, and how."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def check(self) -> None:
        """Call between steps. Raises `Stopped` once someone has asked."""
        if self.signal:
            raise Stopped


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within the block the first signal of `STOPPING` is only noted; the second acts at once, as it does outside.

    When the block has ended, by itself or by `Stopped`, a signal that was noted does what it would have done at first:
    end the process, or raise KeyboardInterrupt. In threads other than the main one Python lets nobody handle signals:
    there nothing is ever noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    # One that is ignored stays so (nohup), and so does one whose handler is not Python's own to put back.
    before = {each: found for each in STOPPING if (found := signal.getsignal(each)) not in (signal.SIG_IGN, None)}

    def put_back() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def note(number: int, _: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        put_back()

    for each in before:
        signal.signal(each, note)
    try:
        with suppress(Stopped):
            yield request
    finally:
        put_back()
    if request.signal:
        signal.raise_signal(request.signal)
        raise KeyboardInterrupt  # a handler of the user's own let the process live: the work has ended anyway
