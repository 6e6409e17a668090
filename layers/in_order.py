"""Work on a stream with several threads, in order and with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def in_order[T, R](work: Callable[[T], R], items: Iterable[T], *, threads: int) -> Iterator[R]:
    """Yield ``work(item)`` for each item, in their order, while the threads go ahead by as many items as they are.

    With one thread the calls come one after the other, so ``work`` may keep a state of its own.

    Raises
    ------
    Exception
        What ``items`` or ``work`` raises; items that were not begun are dropped.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
