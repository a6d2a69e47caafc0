"""Work done ahead in threads, results taken in order. Pillow decodes outside the interpreter lock, so threads do."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int) -> Iterator[Result]:
    """`map(work, items)`, with at most `ahead` results made before they are asked for.

    An exception in `work` is raised where its result would have come. Closing the iterator early waits for the work in
    hand and leaves no thread behind.
    """
    remaining = iter(items)
    executor = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="alexnet-data")
    try:
        pending: deque[Future[Result]] = deque(executor.submit(work, item) for item in islice(remaining, max(1, ahead)))
        while pending:
            result = pending.popleft().result()
            pending.extend(executor.submit(work, item) for item in islice(remaining, 1))
            yield result
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
