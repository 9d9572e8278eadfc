"""Pure schedules for working a residual on a market: equal or volume-weighted slices, and a share of what trades."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NamedTuple

from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import SCHEDULE_SLICES_MAX


class Slice(NamedTuple):
    """Send `size` (size units) at `ts_ns` (UNIX nanoseconds)."""

    ts_ns: int
    size: int


def vwap_schedule(size: int, profile: Sequence[int], start_ns: int, end_ns: int, *, lot: int = 1) -> list[Slice]:
    """Cut an order into slices in proportion to the volume expected in equal spans of time.

    Parameters
    ----------
    size : int
        The whole order, size units; a whole number of lots.
    profile : sequence of int
        Expected volume of each span, zero or more; only the proportions matter.
    start_ns, end_ns : int
        First slice at the start, the last a span before the end, UNIX nanoseconds.
    lot : int
        Every slice is a whole number of lots.

    Returns
    -------
    list of Slice
        In order of time, without empty ones. The sizes add up to `size` exactly: what rounding leaves goes to the spans
        with the largest remainders, the earlier first.

    Raises
    ------
    SpecError
        If the size is no whole number of lots, the profile is empty, negative or all zero, or no time is given.
    LimitExceededError
        If there are more than `SCHEDULE_SLICES_MAX` spans.

    """
    spans = len(profile)
    if spans > SCHEDULE_SLICES_MAX:
        raise LimitExceededError(f"a schedule of {spans} slices", expected=f"at most {SCHEDULE_SLICES_MAX}")
    if lot < 1 or size <= 0 or size % lot:
        raise SpecError(f"an order of {size} in lots of {lot}", expected="a whole number of lots above zero")
    if end_ns <= start_ns:
        raise SpecError(f"a schedule from {start_ns} to {end_ns}", expected="an end after the start")
    total = sum(profile)
    if any(v < 0 for v in profile) or total <= 0:
        raise SpecError("a volume profile without volume", expected="spans of zero or more, not all zero")
    lots = size // lot
    shares = [divmod(lots * volume, total) for volume in profile]
    sizes = [whole for whole, _ in shares]
    by_remainder = sorted(range(spans), key=lambda i: (-shares[i][1], i))
    for i in by_remainder[: lots - sum(sizes)]:
        sizes[i] += 1
    width = end_ns - start_ns
    return [Slice(start_ns + width * i // spans, n * lot) for i, n in enumerate(sizes) if n]


def twap_schedule(size: int, slices: int, start_ns: int, end_ns: int, *, lot: int = 1) -> list[Slice]:
    """Cut an order into equal slices; parameters and errors as for `vwap_schedule`."""
    if slices < 1:
        raise SpecError(f"a schedule of {slices} slices", expected="at least one")
    if slices > SCHEDULE_SLICES_MAX:
        raise LimitExceededError(f"a schedule of {slices} slices", expected=f"at most {SCHEDULE_SLICES_MAX}")
    return vwap_schedule(size, [1] * slices, start_ns, end_ns, lot=lot)


def pov_due(size: int, sent: int, others_volume: int, rate: Fraction, *, lot: int = 1, smallest: int = 0) -> int:
    """Return what to send now so that we are `rate` of all that trades, ourselves included.

    Parameters
    ----------
    size, sent : int
        The whole order and what was sent of it, size units.
    others_volume : int
        What others traded since the order began, size units, without our own fills.
    rate : Fraction
        Share of the volume, above 0 and below 1 (`participation_rate`).
    lot : int
        The answer is a whole number of lots.
    smallest : int
        Smallest slice worth sending, size units, unless it is the last.

    Returns
    -------
    int
        Size units; never so much that the share is exceeded, never more than is left.

    Raises
    ------
    SpecError
        If the rate or the sizes can't be.

    """
    if not 0 < rate < 1:
        raise SpecError(f"a participation rate of {rate}", expected="above 0 and below 1")
    if lot < 1 or size % lot or sent % lot or not 0 <= sent <= size or others_volume < 0 or smallest < 0:
        raise SpecError(f"{sent} of {size} sent in lots of {lot} after {others_volume}", expected="sizes that add up")
    # ours / (ours + others) <= rate
    target = int(others_volume * rate / (1 - rate)) // lot * lot
    due = min(target, size) - sent
    return due if due > 0 and (due >= smallest or sent + due == size) else 0


def participation_rate(parameters: Mapping[str, Any]) -> Fraction:
    """Return the entry ``participation_rate`` of a ticket's instruction, exactly as written.

    Raises
    ------
    SpecError
        If it is missing, no number, or not above 0 and below 1.

    """
    value = parameters.get("participation_rate")
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise TypeError
        rate = Fraction(Decimal(str(value)))
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        raise SpecError(f"participation_rate is {value!r}", expected="a number such as 0.1") from None
    if not 0 < rate < 1:
        raise SpecError(f"participation_rate is {value}", expected="above 0 and below 1")
    return rate
