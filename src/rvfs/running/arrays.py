"""Arrays by instance, what is found among them, and how they are stepped."""

from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rvfs._stepper import Twin
from rvfs.event import Verdict

Mask = npt.NDArray[np.bool_]
Array = TypeVar("Array", bound=npt.NDArray[Any])


class Manner(NamedTuple):
    """How instances are stepped: by which native code, whether somebody may look inside, and which
    of them: those whose number leaves ``share[0]`` when it is divided by ``share[1]``."""

    twin: Twin
    watched: bool = True
    share: tuple[int, int] = (0, 1)


class Found(NamedTuple):
    """A verdict and its place among the others: a timer comes before the event behind it."""

    position: int
    of_event: bool
    time: int
    verdict: Verdict

    @property
    def place(self) -> tuple[int, bool, int]:
        return self[:3]


def grown(array: Array, count: int, fill: int) -> Array:
    """The same, and ``fill`` up to ``count``."""
    larger = np.full(count, fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger  # type: ignore[return-value]


def small_ints(values: list[int]) -> npt.NDArray[np.int8]:
    return np.array(values or [0], dtype=np.int8)
