"""What a desk may do: everything, only reduce, get out, nothing; set by a message on the bus."""

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """What a desk may do."""

    NORMAL = "NORMAL"
    """Quote both sides."""
    REDUCE_ONLY = "REDUCE_ONLY"
    """Quote only the side that brings the position towards zero, no more than the position."""
    LIQUIDATE = "LIQUIDATE"
    """Withdraw all quotes and work the position off on the market; then stay out."""
    HALT = "HALT"
    """Withdraw all quotes and send nothing."""


class SetMode(NamedTuple):
    """The message on ``commands.<book>.mode``; the reason is kept in the quotes table and the run's alerts."""

    mode: Mode
    reason: str = ""


def mode_topic(book_id: str) -> str:
    """Return the topic on which a desk listens for its mode."""
    return f"commands.{book_id}.mode"


def rooms(mode: Mode, position: int, bound: int) -> tuple[int, int]:
    """Return what may be quoted to buy and to sell, lots.

    Parameters
    ----------
    mode : Mode
        What the desk may do.
    position, bound : int
        Signed position and largest absolute position, lots.

    """
    if mode is Mode.NORMAL:
        return max(0, bound - position), max(0, bound + position)
    if mode is Mode.REDUCE_ONLY:
        return max(0, min(-position, bound - position)), max(0, min(position, bound + position))
    return 0, 0
