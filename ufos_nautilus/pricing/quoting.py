"""The steps from two depths to two orders, one pure function each; prices in whole ticks, sizes in whole lots."""

import math
from enum import IntEnum
from typing import Final

EDGE: Final = 1e-9
"""A price this share of a tick beyond a grid point counts as on it, so that float dust costs no whole tick."""


class Action(IntEnum):
    """What to do with the order resting on one side."""

    KEEP = 0
    PLACE = 1
    REPLACE = 2
    CANCEL = 3


def round_outward(
    fair_value: float, bid_depth: float | None, ask_depth: float | None, ticks_per_unit: float
) -> tuple[int | None, int | None]:
    """Return bid and ask in ticks, rounded away from fair value.

    Parameters
    ----------
    fair_value : float
        Price units.
    bid_depth, ask_depth : float or None
        Price units from fair value; `None` stays `None`.
    ticks_per_unit : float
        1 / tick size.

    Returns
    -------
    tuple of int or None
        Bid and ask, ticks.

    """
    return (
        None if bid_depth is None else math.floor((fair_value - bid_depth) * ticks_per_unit + EDGE),
        None if ask_depth is None else math.ceil((fair_value + ask_depth) * ticks_per_unit - EDGE),
    )


def widen_to_minimum(bid: int | None, ask: int | None, minimum_ticks: int) -> tuple[int | None, int | None]:
    """Return the quote moved apart to at least `minimum_ticks`; an odd tick goes to the ask."""
    if bid is None or ask is None:
        return bid, ask
    missing = minimum_ticks - (ask - bid)
    if missing <= 0:
        return bid, ask
    half = missing >> 1
    return bid - half, ask + missing - half


def clamp_post_only(
    bid: int | None, ask: int | None, best_bid: int | None, best_ask: int | None
) -> tuple[int | None, int | None]:
    """Return the quote held one tick short of the other side's touch, so that neither order takes.

    `None` for a touch means an empty side, which clamps nothing.
    """
    if bid is not None and best_ask is not None and bid >= best_ask:
        bid = best_ask - 1
    if ask is not None and best_bid is not None and ask <= best_bid:
        ask = best_bid + 1
    return bid, ask


def bound_sizes(inventory: int, bound: int, size: int) -> tuple[int, int]:
    """Return bid and ask sizes that can't carry the inventory beyond the bound, nor through it when it is beyond.

    Parameters
    ----------
    inventory : int
        Signed position, lots of the instrument.
    bound : int
        Largest absolute position, same unit.
    size : int
        Wanted size per side, same unit.

    Returns
    -------
    tuple of int
        Bid size and ask size, from 0 to `size`.

    """
    buy = bound - inventory
    sell = bound + inventory
    return (
        size if buy >= size else buy if buy > 0 else 0,
        size if sell >= size else sell if sell > 0 else 0,
    )


def shape_sizes(inventory: int, size: int, minimum: int, strength: float, bound: int) -> tuple[int, int]:
    """Return sizes with the side that adds to the inventory shrunk as size * exp(-strength |q| / bound).

    Parameters
    ----------
    inventory, bound : int
        Lots of the instrument.
    size, minimum : int
        Wanted size and the smallest order, same unit; the shrunk side is not below the minimum.
    strength : float
        0 leaves both sides alike.

    Returns
    -------
    tuple of int
        Bid size and ask size.

    """
    if inventory == 0 or strength <= 0.0:
        return size, size
    shrunk = max(minimum, round(size * math.exp(-strength * abs(inventory) / bound)))
    return (shrunk, size) if inventory > 0 else (size, shrunk)


def decide(
    resting: int | None,
    wanted: int | None,
    since_change_ns: int,
    minimum_interval_ns: int,
    tolerance_ticks: int = 1,
) -> Action:
    """Return what to do with one side's resting order.

    A withdrawal is never held back. A first quote and a change wait for the interval; a change also has to be worth
    at least the tolerance.

    Parameters
    ----------
    resting, wanted : int or None
        Price of the resting and of the wanted order, ticks; `None` for no order.
    since_change_ns : int
        Nanoseconds since this side last changed.
    minimum_interval_ns : int
        Shortest time between changes.
    tolerance_ticks : int
        Smallest move that replaces an order.

    Returns
    -------
    Action

    """
    if wanted is None:
        return Action.KEEP if resting is None else Action.CANCEL
    if since_change_ns < minimum_interval_ns:
        return Action.KEEP
    if resting is None:
        return Action.PLACE
    moved = wanted - resting
    return Action.REPLACE if moved >= tolerance_ticks or -moved >= tolerance_ticks else Action.KEEP
