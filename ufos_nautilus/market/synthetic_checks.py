"""Checks that the parameters of generated markets share."""

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import SYNTHETIC_EVENTS_MAX


def refusal(owner: str, name: str, value: object, expected: str) -> SpecError:
    """Return the error for one parameter out of range."""
    return SpecError(f"{owner}: {name} is {value}", expected=expected)


def check_fields(
    owner: str,
    params: object,
    *,
    positive: Iterable[str] = (),
    not_negative: Iterable[str] = (),
    counts: Iterable[str] = (),
) -> None:
    """Raise `SpecError` for the first field that is out of range; `counts` are whole numbers from 1."""
    for name in positive:
        if not 0.0 < getattr(params, name) < math.inf:
            raise refusal(owner, name, getattr(params, name), "a finite number above zero")
    for name in not_negative:
        if not 0.0 <= getattr(params, name) < math.inf:
            raise refusal(owner, name, getattr(params, name), "a finite number, zero or more")
    for name in counts:
        value = getattr(params, name)
        if not isinstance(value, int) or value < 1:
            raise refusal(owner, name, value, "a whole number, 1 or more")


def check_events(owner: str, events: float) -> None:
    """Raise `LimitExceededError` when more than `limits.SYNTHETIC_EVENTS_MAX` events are expected."""
    if events > SYNTHETIC_EVENTS_MAX:
        raise LimitExceededError(
            f"{owner}: {events:,.0f} events asked for",
            expected=f"at most {SYNTHETIC_EVENTS_MAX:,}",
            next_step="shorten the duration, lengthen the interval or lower the rate",
        )


def decimals_of(value: Decimal) -> int:
    """Return the number of decimals a value is written with."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def step_of(owner: str, name: str, text: str) -> Decimal:
    """Return a tick or lot size from its text; raise `SpecError` unless positive with at most 16 decimals."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0 or decimals_of(value) > 16:
        raise refusal(owner, name, repr(text), "a positive decimal with at most 16 decimals, as text")
    return value
