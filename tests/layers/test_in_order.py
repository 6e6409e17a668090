from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.in_order import in_order


@settings(max_examples=20, deadline=None)
@given(waits=st.lists(st.integers(0, 3), max_size=12), threads=st.integers(1, 3))
def test_results_come_in_the_order_of_the_items(waits: list[int], threads: int):
    def work(item: tuple[int, int]) -> int:
        time.sleep(item[1] / 1000)
        return item[0]

    assert list(in_order(work, enumerate(waits), threads=threads)) == list(range(len(waits)))


def test_one_thread_makes_one_call_at_a_time():
    busy = threading.Lock()

    def work(item: int) -> int:
        assert busy.acquire(blocking=False)
        time.sleep(0.001)
        busy.release()
        return item

    assert list(in_order(work, range(20), threads=1)) == list(range(20))


def test_items_are_not_drawn_far_ahead_of_what_is_taken():
    drawn: list[int] = []

    def items():
        for number in range(100):
            drawn.append(number)
            yield number

    results = in_order(lambda item: item, items(), threads=2)
    next(results)
    assert len(drawn) <= 4
    results.close()
    assert len(drawn) <= 4


def test_what_work_and_items_raise_is_raised():
    def fails(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = in_order(fails, range(10), threads=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)

    def broken():
        yield 1
        raise KeyError("end")

    with pytest.raises(KeyError):
        list(in_order(lambda item: item, broken(), threads=1))
