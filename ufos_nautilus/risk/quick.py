"""The quick way through the check: says yes only where the whole check surely finds nothing.

No event takes more room from any limit than `Firm.moved` grows, nor more from any profit than `Firm.shaken` does. So
once the room left under every limit is known, an order may pass as long as what has moved since, with the order itself,
stays within that room: one comparison instead of one per limit and level. Where the room is used up it is measured
again; what still does not fit goes through the whole check, which decides and names the limits.
"""

from typing import Final

from ufos_nautilus.risk.compiled import PPM, LevelRules, SlotRules
from ufos_nautilus.risk.fixed import SCALE
from ufos_nautilus.risk.levels import Account, Level
from ufos_nautilus.risk.state import JUMP, Slot
from ufos_nautilus.risk.windows import RateWindow

NONE: Final = 1 << 256
"""A bound that nothing reaches."""
MARGIN_BITS: Final = 8
"""An order's value is taken one part in 2^8 higher than it is."""
FAR: Final = JUMP // 2
"""The most room there can be, so that a jump uses it up."""


class Bounds:
    """Limits of one book folded, for all its instruments that have the same; good until limits or capital change.

    Parameters
    ----------
    slot : Slot
        One of those the bounds are for; all are at one venue.
    rules : SlotRules
        The limits.

    Attributes
    ----------
    counted : tuple
        (level, orders a second) of every level that limits the rate.

    """

    __slots__ = (
        "_account", "_account_age", "_age", "_book", "_buys_until", "_fat", "_firm", "_judged", "_levels",
        "_net_position", "_notional", "_order", "_position", "_profit_until", "_purses", "_rules", "_sells_until",
        "_share", "_usable", "_venue", "counted",
    )  # fmt: skip

    def __init__(self, slot: Slot, rules: SlotRules) -> None:
        self._firm, self._book, self._rules, self._venue = slot.firm, slot.book, rules, slot.instrument.venue
        self._usable = rules.in_universe and rules.restriction is None
        self._account: Account | None = None
        self._account_age = rules.account_age_ns
        self._age, self._fat = bound(rules.price_age_ns), bound(rules.fat_finger_ppm)
        self._order, self._notional = bound(rules.order_quantity), bound(rules.order_notional)
        self._position, self._net_position = bound(rules.position), bound(rules.net_position)
        self._share = share(slot.book, rules.concentration_ppm)
        self._purses = tuple(slot.firm.venues[self._venue].values())
        self._levels: tuple[tuple[Level, LevelRules], ...] = (
            (slot.firm, rules.firm),
            (slot.book.kind_level, rules.kind),
            (slot.book, rules.book),
        )
        self.counted = tuple((level, n) for level, limits in self._levels if (n := limits.orders_per_s) is not None)
        self._judged = any(value is not NONE for value in (self._order, self._net_position, self._share))
        self._buys_until = self._sells_until = self._profit_until = -1

    def allows(self, slot: Slot, sign: int, quantity: int, price: int | None, now_ns: int) -> int:
        """Tell whether a new order that the venue does not hold to reducing surely breaks no limit.

        Parameters
        ----------
        slot : Slot
            Where it would count.
        sign, quantity, now_ns : int
            As in `OrderView`.
        price : int or None
            Price of a limit order, None of a market order.

        Returns
        -------
        int
            At least the order's value, above zero, if it may pass; 0 if the whole check has to decide.

        """
        instrument, firm = slot.instrument, self._firm
        last = instrument.price
        if not last or now_ns - instrument.price_ns > self._age:
            return 0
        top = last
        if price is not None:
            away = price - last
            if away > 0:
                top = price
            else:
                away = -away
            if away * PPM > last * self._fat:
                return 0
        value = quantity * top * instrument.num // instrument.den
        held = slot.high if sign > 0 else -slot.low
        if value > self._notional or held + quantity > self._position:
            return 0
        # The valuation price is within a thousandth of the last; the margin covers that and every rounding.
        value += (value >> MARGIN_BITS) + 1
        if firm.moved + value > (self._buys_until if sign > 0 else self._sells_until) or (
            firm.shaken > self._profit_until
        ):
            return value if self._measure(sign, value) and self._rest(slot, sign, quantity, value, now_ns) else 0
        return value if self._rest(slot, sign, quantity, value, now_ns) else 0

    def count(self, now_ns: int) -> None:
        """Count an order that is let pass towards the rates."""
        for level, size in self.counted:
            window = level.orders
            if window is None:
                window = level.orders = RateWindow.of(None, size)
            # As `RateWindow.add` does, without the call.
            at = window.next
            window.at[at] = now_ns
            window.next = at + 1 if at + 1 < size else 0

    def _rest(self, slot: Slot, sign: int, quantity: int, value: int, now_ns: int) -> bool:
        """Tell whether the account is fresh, and what not every file limits allows it."""
        account, instrument = self._account, slot.instrument
        if account is None or now_ns - account.seen_ns > self._account_age or instrument.inverse:
            return False
        if self._judged:
            worst = instrument.high + quantity if sign > 0 else quantity - instrument.low
            if quantity > self._order or worst > self._net_position:
                return False
            if self._share is not NONE:
                held = slot.high if sign > 0 else -slot.low
                if (held + quantity) * value // quantity > self._share:
                    return False
        for level, size in self.counted:
            window = level.orders
            if window is not None and (window.size != size or now_ns - window.at[window.next] < window.span_ns):
                return False
        return True

    def _measure(self, sign: int, value: int) -> bool:
        """Work out how much room every limit leaves; tell whether an order of this value fits into it."""
        firm, book, rules = self._firm, self._book, self._rules
        self._account = firm.accounts.get(self._venue)
        self._buys_until = self._sells_until = self._profit_until = -1
        if firm.state or book.state or firm.stale or not self._usable or self._account is None or self._account.cash:
            return False
        both = [share(book, rules.leverage_ppm) - book.gross]
        if rules.margin_use_ppm is not None:
            room = self._account.money * rules.margin_use_ppm // (SCALE * PPM)
            both.append(room - sum(purse.gross for purse in self._purses))
        buys, sells, falls = [FAR], [FAR], [FAR]
        for level, limits in self._levels:
            both.append(bound(limits.gross) - level.gross)
            buys.append(bound(limits.net) - level.net_high)
            sells.append(bound(limits.net) + level.net_low)
            falls.append(bound(limits.daily_loss) - level.day_start + level.profit)
            falls.append(share(level, limits.drawdown_ppm) - level.peak + level.profit)
        self._buys_until = firm.moved + min(*both, *buys)
        self._sells_until = firm.moved + min(*both, *sells)
        self._profit_until = firm.shaken + min(falls)
        until = self._buys_until if sign > 0 else self._sells_until
        return firm.moved + value <= until and firm.shaken <= self._profit_until


def bound(value: int | None) -> int:
    """Return a limit, or what nothing reaches."""
    return NONE if value is None else value


def share(level: Level, ppm: int | None) -> int:
    """Return a share of a level's capital in money; with no capital nothing is allowed."""
    if ppm is None:
        return NONE
    return level.capital * ppm // PPM if level.capital else -1
