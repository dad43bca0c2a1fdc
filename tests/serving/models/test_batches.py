import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.models.engines.batches import Together, fastest
from tests.system import eventually


def photo(value: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), value, np.uint8)


def first_pixels(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
    return photos[:, 0, 0, :2].astype(np.float32)


def test_those_that_wait_are_answered_together_and_no_more_than_may() -> None:
    go, sizes = threading.Event(), list[int]()

    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(photos))
        assert go.wait(60)
        return first_pixels(photos)

    together = Together(scores, batch=4)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together, photo(0))
        eventually(lambda: sizes == [1])
        rest = [pool.submit(together, photo(value)) for value in range(1, 8)]
        eventually(lambda: len(together._waiting) == 7)
        go.set()
        found = [each.result(60) for each in (first, *rest)]

    assert [int(each[0]) for each in found] == list(range(8)), "each has its own answer"
    assert sizes == [1, 4, 3]


def test_one_that_is_alone_waits_for_nobody() -> None:
    assert Together(first_pixels, batch=8)(photo(7)).tolist() == [7, 7]


def test_a_failure_is_everybodys_whom_it_concerns_and_nobody_elses() -> None:
    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        if photos.max() == 9:
            raise ValueError("nine")
        return first_pixels(photos)

    together = Together(scores, batch=2, at_once=2)

    with pytest.raises(ValueError, match="nine"):
        together(photo(9))
    with ThreadPoolExecutor(8) as pool:
        assert [int(each[0]) for each in pool.map(together, [photo(n) for n in (1, 2, 3) * 50])] == [1, 2, 3] * 50


@pytest.mark.parametrize(("each", "whole", "expected"), [(0.0, 0.01, {8}), (0.004, 0.0, {1})])
def test_as_many_together_as_is_faster(each: float, whole: float, expected: set[int]) -> None:
    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(whole + each * len(photos))
        return first_pixels(photos)

    assert fastest(scores, photo(1), most=8) in expected
