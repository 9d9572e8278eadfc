"""Samples every book's net asset value on a timer: what performance is measured on."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import FIXED_PRECISION, ActorId, InstrumentId

from ufos_nautilus.engine.book_accounts import LedgerIndex
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.marks import mid_price
from ufos_nautilus.engine.treasury import Flow
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.ledger.money import from_units
from ufos_nautilus.market.instruments import InstrumentSpec

NS_PER_S = 1_000_000_000
HALF_UNITS = 2 * 10**FIXED_PRECISION
"""Denominator of the sum of two raw prices over two."""


class NavRecorder(InTurn, Guarded, DataActor):
    """Writes one row a book and currency at each sample.

    Parameters
    ----------
    log : callable
        Takes a row of table `navs`.
    index : LedgerIndex
        Holdings by book.
    instruments : mapping
        Lit instruments by id.
    books : sequence of str
        Whose values.
    interval_ns, offset_ns : int
        Engine time between samples, counted from midnight UTC plus the offset.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("NAV-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(
        self,
        log: Callable[[tuple[Any, ...]], None],
        index: LedgerIndex,
        instruments: Mapping[str, InstrumentSpec],
        books: Sequence[str],
        interval_ns: int,
        offset_ns: int,
    ) -> None:
        self._log, self._index, self._books = log, index, list(books)
        self._interval_ns, self._offset_ns = interval_ns, offset_ns
        self._currencies = sorted({spec.settlement for spec in instruments.values()})
        self._lit = {spec.symbol: InstrumentId.from_str(name) for name, spec in instruments.items()}
        self._flows: dict[tuple[str, str], Decimal] = {}
        self._last: dict[str, Any] = {}

    def on_start(self) -> None:
        """Sample at the start and then on a timer."""
        now, step = self.clock.timestamp_ns(), self._interval_ns
        first = (now - self._offset_ns) // step * step + step + self._offset_ns
        self.clock.set_timer_ns("nav", step, start_time_ns=first - step, callback=self.guard(self.sample))
        self.overhear("treasury.flows", self.on_flow)

    def on_flow(self, flow: Flow) -> None:
        """Remember what an owner put in or took out since the last sample."""
        key = (flow.book, flow.currency)
        self._flows[key] = self._flows.get(key, Decimal(0)) + flow.amount

    def sample(self, _: Any) -> None:
        """Write the value of every book, unless no price has changed since the last sample."""
        now = self.clock.timestamp_ns()
        marks, changed = self._marks()
        if not changed and self._last.get("done"):
            return
        self._last["done"] = True
        state = self._index.ledger.state
        for book in self._books:
            for code in self._currencies:
                if not self._index.has_cash(book, code):
                    continue
                nav, gross, cash = self._index.nav_units(book, code, marks)
                decimals = state.decimals(code)
                flow = self._flows.pop((book, code), Decimal(0))
                values = (from_units(units, decimals) for units in (nav, cash, gross))
                self._log((now, book, code, *(str(v) for v in values), str(flow)))

    def _marks(self) -> tuple[dict[str, tuple[int, int]], bool]:
        """Return the mark of every root that has one, and whether any quote came since the last sample."""
        marks: dict[str, tuple[int, int]] = {}
        newest = 0
        for symbol, instrument_id in self._lit.items():
            quote = self.cache.quote(instrument_id)
            if quote is not None:
                marks[symbol] = (quote.bid_price.raw + quote.ask_price.raw, HALF_UNITS)
                newest = max(newest, quote.ts_init)
                continue
            price = mid_price(self.cache, instrument_id)
            if price is not None:
                marks[symbol] = price.as_integer_ratio()
                newest = self.clock.timestamp_ns()
        changed = newest != self._last.get("newest")
        self._last["newest"] = newest
        return marks, changed
