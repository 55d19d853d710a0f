"""What any language's reader hands back: the model, and what it has to say of the text."""

from dataclasses import dataclass
from typing import Generic, TypeVar

ModelT = TypeVar("ModelT", covariant=True)


@dataclass(frozen=True, slots=True)
class ModelText(Generic[ModelT]):
    """What a text holds: an :class:`Automaton` (DOT) or a :class:`Rule` (LTL).

    ``warnings`` are ``FILE:LINE:COLUMN: warning: what`` (dead-end states).
    """

    model: ModelT
    warnings: tuple[str, ...] = ()
