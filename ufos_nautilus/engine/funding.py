"""Funding of perpetuals: at each interval every open position pays or receives, and the ledger hears of it."""

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple, Self

from nautilus_trader.backtest import SimulationModule
from nautilus_trader.model import FundingRateUpdate, InstrumentId, Money, PositionSide

from ufos_nautilus.engine.instruments import currency
from ufos_nautilus.engine.spec import FundingSpec
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec

NS_PER_S = 1_000_000_000


class Payment(NamedTuple):
    """What one book paid (positive) or received at a funding, in the instrument's settlement currency."""

    ts_ns: int
    book: str
    instrument_id: str
    amount: Decimal


class FundingModule(SimulationModule):
    """Settles fundings of one venue's perpetuals at their mid.

    Parameters
    ----------
    specs : sequence of FundingSpec
        What is paid when.
    instruments : mapping
        Instruments of the run by id.
    payments : deque
        Where payments are left for the ledger.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make the engine's own part, which takes no parameters."""
        return super().__new__(cls)

    def __init__(
        self, specs: Sequence[FundingSpec], instruments: Mapping[str, InstrumentSpec], payments: deque[Payment]
    ) -> None:
        self._instruments = {s.instrument_id: instruments[s.instrument_id] for s in specs}
        self._rates = {s.instrument_id: s.rate for s in specs}
        self._intervals = {s.instrument_id: int(s.interval_s * NS_PER_S) for s in specs}
        self._due: dict[str, int] = {}
        self._first_due = 0
        self._payments = payments
        self._settled: list[Payment] = []
        self.failure: BaseException | None = None

    def pre_process(self, _data: Any) -> None:
        """Do nothing before an event."""

    def process(self, _ts_now: int, _context: Any) -> list[Money]:
        """Return the changes of the account where a funding has come."""
        if _ts_now < self._first_due:
            return []
        try:
            return self._settle(_ts_now, _context)
        except BaseException as error:
            self.failure = self.failure or error
            raise

    def acknowledge(self, _outcomes: Any) -> None:
        """Tell the ledger, now that the account has changed."""
        for outcome in _outcomes:
            if not outcome.applied and self.failure is None:
                self.failure = RunFailedError(f"a funding was not settled: {outcome.error}")
        self._payments.extend(self._settled)
        self._settled.clear()

    def log_diagnostics(self) -> None:
        """Say nothing."""

    def reset(self) -> None:
        """Begin anew."""
        self._due.clear()
        self._first_due = 0

    def _settle(self, now_ns: int, context: Any) -> list[Money]:
        come = []
        for name, interval in self._intervals.items():
            due = self._due.setdefault(name, (now_ns // interval + 1) * interval)
            if now_ns >= due:
                come.append(name)
                self._due[name] = (now_ns // interval + 1) * interval
        self._first_due = min(self._due.values())
        changes: dict[str, Decimal] = {}
        for name in come:
            for payment in self._of(name, now_ns, context):
                self._settled.append(payment)
                code = self._instruments[name].settlement
                changes[code] = changes.get(code, Decimal(0)) - payment.amount
        return [Money.from_decimal(amount, currency(code)) for code, amount in changes.items() if amount]

    def _of(self, name: str, now_ns: int, context: Any) -> list[Payment]:
        held = [p for p in context.positions if str(p.instrument_id) == name and p.is_open]
        book = next((b for b in context.order_books if str(b.instrument_id) == name), None)
        best = (book.best_bid_price(), book.best_ask_price()) if book is not None else (None, None)
        if not held or best[0] is None or best[1] is None:
            return []
        spec = self._instruments[name]
        mark = (best[0].as_decimal() + best[1].as_decimal()) / 2
        unit = Decimal(1).scaleb(-currency(spec.settlement).precision)
        each = spec.multiplier / mark if spec.inverse else spec.multiplier * mark
        out = []
        for position in held:
            sign = 1 if position.side == PositionSide.LONG else -1
            amount = (sign * position.quantity.as_decimal() * each * self._rates[name]).quantize(unit, ROUND_HALF_EVEN)
            if amount:
                out.append(Payment(now_ns, str(position.strategy_id), name, amount))
        return out


def check_funding(specs: Sequence[FundingSpec], instruments: Mapping[str, InstrumentSpec], venue: str) -> None:
    """Raise `SpecError` where a funding names something that is no perpetual of this venue."""
    for spec in specs:
        found = instruments.get(spec.instrument_id)
        if found is None or found.venue != venue or found.kind != "crypto_perpetual":
            raise SpecError(
                f"venue {venue}: there is no funding of {spec.instrument_id!r}",
                expected=f"a perpetual of this venue that the run loads: {', '.join(sorted(instruments)) or 'none'}",
            )


def announcements(specs: Sequence[FundingSpec], first_ns: int) -> list[FundingRateUpdate]:
    """Return what the venue says of its rates at the beginning, as market data.

    They name no time of the next funding: with one the engine would settle it too, and the ledger would not hear of it.
    """
    return [FundingRateUpdate(InstrumentId.from_str(s.instrument_id), s.rate, first_ns, first_ns) for s in specs]
