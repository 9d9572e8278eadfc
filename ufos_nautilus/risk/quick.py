"""The quick way through the check: says yes only where the whole check surely finds nothing.

No event moves any of the firm's sums by more than `Firm.moved` grows, nor any profit by more than `Firm.shaken`. So once
the room left under every limit is known, an order may pass as long as what has moved since, with the order itself, stays
within that room: one comparison instead of one per limit and level. Where the room is used up it is measured again; what
still does not fit goes through the whole check, which decides and names the limits.
"""

from typing import Final

from ufos_nautilus.risk.compiled import PPM, LevelRules, SlotRules
from ufos_nautilus.risk.fixed import SCALE
from ufos_nautilus.risk.state import JUMP, Account, Level, Slot
from ufos_nautilus.risk.windows import RateWindow

NONE: Final = 1 << 256
"""A bound that nothing reaches."""
FAR: Final = JUMP // 2
"""The most room there can be, so that a jump uses it up."""


class Bounds:
    """Limits of one book in one instrument, folded; good until limits or capital change.

    Parameters
    ----------
    slot : Slot
        Where orders count.
    rules : SlotRules
        The limits.
    venue : str
        Where orders go, if not to the instrument's own venue.

    Attributes
    ----------
    counted : tuple
        (level, orders a second) of every level that limits the rate.

    """

    __slots__ = (
        "_account", "_account_age", "_age", "_buys_until", "_fat", "_judged", "_levels", "_net_position", "_notional",
        "_order", "_position", "_profit_until", "_purses", "_rules", "_sells_until", "_usable", "counted", "slot",
    )  # fmt: skip

    def __init__(self, slot: Slot, rules: SlotRules, venue: str = "") -> None:
        self.slot, self._rules = slot, rules
        instrument, book = slot.instrument, slot.book
        self._usable = rules.in_universe and rules.restriction is None and not instrument.inverse and not venue
        self._account: Account | None = None
        self._account_age = rules.account_age_ns
        self._age, self._fat = bound(rules.price_age_ns), bound(rules.fat_finger_ppm)
        self._order, self._notional = bound(rules.order_quantity), bound(rules.order_notional)
        self._position, self._net_position = bound(rules.position), bound(rules.net_position)
        self._purses = tuple(slot.firm.venues[instrument.venue].values())
        self._levels: tuple[tuple[Level, LevelRules], ...] = (
            (slot.firm, rules.firm),
            (book.kind_level, rules.kind),
            (book, rules.book),
        )
        self.counted = tuple((level, n) for level, limits in self._levels if (n := limits.orders_per_s) is not None)
        self._judged = bool(self.counted) or self._order is not NONE or self._net_position is not NONE
        self._buys_until = self._sells_until = self._profit_until = -1

    def allows(self, sign: int, quantity: int, price: int | None, now_ns: int) -> bool:
        """Tell whether a new order that the venue does not hold to reducing surely breaks no limit.

        Parameters
        ----------
        sign, quantity, now_ns : int
            As in `OrderView`.
        price : int or None
            Price of a limit order, None of a market order.

        """
        slot = self.slot
        firm, instrument = slot.firm, slot.instrument
        last = instrument.price
        if not last or now_ns - instrument.price_ns > self._age:
            return False
        if price is None or price <= last:
            worst = quantity * last
        else:
            worst = quantity * price
        if worst * instrument.num // instrument.den > self._notional:
            return False
        if price is not None and abs(price - last) * PPM > last * self._fat:
            return False
        # One more than the value, so that no rounding of parts can add up to a limit.
        moved = firm.moved + quantity * instrument.valued * instrument.num // instrument.den + 1
        if sign > 0:
            if slot.position + slot.buys + quantity > self._position:
                return False
            fits = moved <= self._buys_until
        else:
            if slot.sells - slot.position + quantity > self._position:
                return False
            fits = moved <= self._sells_until
        if not (fits and firm.shaken <= self._profit_until):
            self._measure()
            if moved > (self._buys_until if sign > 0 else self._sells_until) or firm.shaken > self._profit_until:
                return False
        account = self._account
        if account is None or now_ns - account.seen_ns > self._account_age:
            return False
        return not self._judged or self._fits(sign, quantity, now_ns)

    def count(self, now_ns: int) -> None:
        """Count an order that is let pass towards the rates."""
        for level, size in self.counted:
            window = level.orders = RateWindow.of(level.orders, size)
            window.add(now_ns)

    def _fits(self, sign: int, quantity: int, now_ns: int) -> bool:
        """Tell whether size, the firm's net position in the instrument and rates allow it."""
        instrument = self.slot.instrument
        worst = instrument.high + quantity if sign > 0 else quantity - instrument.low
        if quantity > self._order or worst > self._net_position:
            return False
        for level, size in self.counted:
            window = level.orders
            if window is not None and (window.size != size or window.full(now_ns)):
                return False
        return True

    def _measure(self) -> None:
        """Work out how much room every limit leaves."""
        slot, rules = self.slot, self._rules
        firm, book = slot.firm, slot.book
        self._account = firm.accounts.get(slot.instrument.venue)
        self._buys_until = self._sells_until = self._profit_until = -1
        if firm.state or book.state or firm.stale or not self._usable or self._account is None or self._account.cash:
            return
        both = [share(book, rules.leverage_ppm) - book.gross, share(book, rules.concentration_ppm) - slot.gross]
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


def bound(value: int | None) -> int:
    """Return a limit, or what nothing reaches."""
    return NONE if value is None else value


def share(level: Level, ppm: int | None) -> int:
    """Return a share of a level's capital in money; with no capital nothing is allowed."""
    if ppm is None:
        return NONE
    return level.capital * ppm // PPM if level.capital else -1
