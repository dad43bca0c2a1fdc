"""What every engine is: a function, and what it takes."""

from dataclasses import dataclass

from ..files.spec import Input
from .batches import Scores

__all__ = ["Scorer"]


@dataclass(frozen=True)
class Scorer:
    """A model ready to answer: pixels ``(N, height, width, 3)``, as ``input`` says, to probabilities of its outputs.

    ``at_once`` threads may call it at the same time, with up to ``batch`` photos each. ``description`` is a line for
    people.
    """

    scores: Scores
    input: Input
    description: str
    batch: int = 1
    at_once: int = 1
