"""Signals are noted and wait for the end of a step. Each test sends them to this very process."""

import signal
import threading
from collections.abc import Iterator

import pytest

from alexnet.train.stop import stop_requests


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_nobody_asked() -> None:
    with stop_requests() as stop:
        stop.check()


def test_ctrl_c_ends_the_work_at_the_next_check_and_is_then_a_keyboard_interrupt() -> None:
    reached = []

    def work() -> None:
        with stop_requests() as stop:
            signal.raise_signal(signal.SIGINT)
            reached.append("the rest of the step")
            stop.check()
            reached.append("the next step")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the rest of the step"]


def test_the_second_ctrl_c_acts_at_once() -> None:
    reached = []

    def work() -> None:
        with stop_requests():
            signal.raise_signal(signal.SIGINT)
            reached.append("after the first")
            signal.raise_signal(signal.SIGINT)
            reached.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["after the first"]


def test_sigterm_does_after_the_block_what_it_did_before_it() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_requests() as stop:
            signal.raise_signal(signal.SIGTERM)
            seen.append("the rest of the step")
            stop.check()

    own = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):  # the handler let the process live; its work has ended all the same
            work()
        assert seen == ["the rest of the step", signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, own)


def test_a_signal_that_came_too_late_for_a_check_is_not_lost() -> None:
    """The work is done; a program that would go on to the next must not."""
    reached = []

    def work() -> None:
        with stop_requests():
            signal.raise_signal(signal.SIGINT)
            reached.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["all of it"]


def test_an_error_of_the_work_is_not_covered_by_the_signal() -> None:
    def work() -> None:
        with stop_requests():
            signal.raise_signal(signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_an_ignored_signal_stays_ignored() -> None:
    """As under nohup or in a background job of a shell."""
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            signal.raise_signal(signal.SIGINT)
            stop.check()
    finally:
        signal.signal(signal.SIGINT, own)


def test_in_another_thread_nothing_is_noted() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with stop_requests() as stop:
                stop.check()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
