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
        _check(owner, params, name, (int, float), 0.0 < _number(params, name) < math.inf, "a finite number above zero")
    for name in not_negative:
        valid = 0.0 <= _number(params, name) < math.inf
        _check(owner, params, name, (int, float), valid, "a finite number, zero or more")
    for name in counts:
        _check(owner, params, name, (int,), _number(params, name) >= 1, "a whole number, 1 or more")


def _number(params: object, name: str) -> float:
    value = getattr(params, name)
    return value if isinstance(value, int | float) else math.nan


def _check(owner: str, params: object, name: str, types: tuple[type, ...], valid: bool, expected: str) -> None:
    value = getattr(params, name)
    if not valid or not isinstance(value, types) or isinstance(value, bool):
        raise refusal(owner, name, repr(value), expected)


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
        value = Decimal(text if isinstance(text, str) else "")
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0 or decimals_of(value) > 16:
        raise refusal(owner, name, repr(text), "a positive decimal with at most 16 decimals, as text")
    return value
