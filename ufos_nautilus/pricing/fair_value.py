"""Fair value from the top of the book."""

from collections.abc import Callable
from typing import Final


def mid(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """Return the middle of bid and ask; the sizes are not used.

    Parameters
    ----------
    bid, ask : float
        Best prices, price units.
    bid_size, ask_size : float
        Sizes at them, any one unit.

    Returns
    -------
    float
        Price units.

    """
    return 0.5 * (bid + ask)


def weighted_mid(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """Return bid (1 - I) + ask I with the imbalance I = bid size / (bid size + ask size).

    It is often called the micro-price; the micro-price proper (Stoikov 2018) is fitted to data, see `microprice`.
    Without sizes on both sides it is the mid.

    Parameters
    ----------
    bid, ask : float
        Best prices, price units.
    bid_size, ask_size : float
        Sizes at them, any one unit, zero or more.

    Returns
    -------
    float
        Price units, between bid and ask.

    """
    if bid_size <= 0.0 or ask_size <= 0.0:
        return 0.5 * (bid + ask)
    imbalance = bid_size / (bid_size + ask_size)
    return bid + (ask - bid) * imbalance


def imbalance(bid_size: float, ask_size: float) -> float:
    """Return bid size / (bid size + ask size), from 0 (all offered) to 1 (all bid); one half without sizes."""
    total = bid_size + ask_size
    return bid_size / total if total > 0.0 else 0.5


FairValue = Callable[[float, float, float, float], float]
"""(bid, bid size, ask, ask size) -> price."""

FAIR_VALUES: Final[dict[str, FairValue]] = {"mid": mid, "weighted_mid": weighted_mid}
"""The fair values that need no fitted parameters, by the name a run spec uses."""
