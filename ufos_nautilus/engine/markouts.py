"""Looks at the market again some time after every fill, so that adverse selection can be measured."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, InstrumentId, OrderFilled

from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.marks import mid_price
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.run_schemas import MARKOUTS_MS

NS_PER_MS = 1_000_000


class MarkoutRecorder(Guarded, DataActor):
    """Writes one row per fill once the last horizon has passed: the mid at the fill and at each horizon.

    The mid of a fill inside the house is that of the lit instrument. A horizon beyond the end of the run stays empty.

    Parameters
    ----------
    instruments : mapping
        Lit instruments by id.
    log : callable
        Takes a row of table `markouts`.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("MARKOUTS-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(self, instruments: Mapping[str, InstrumentSpec], log: Callable[[tuple[Any, ...]], None]) -> None:
        self._lit = {s.symbol: InstrumentId.from_str(name) for name, s in instruments.items()}
        self._log = log
        self._due: dict[int, list[tuple[list[Any], int, InstrumentId]]] = {}
        self._open: dict[int, list[Any]] = {}
        self._number = 0

    def on_start(self) -> None:
        """Listen to books."""
        self.subscribe_topic("books.*.orders", self.guard(self.on_order))

    def on_order(self, event: Any) -> None:
        """Note the mid at a fill and ask to be woken at every horizon."""
        if not isinstance(event, OrderFilled):
            return
        instrument_id = self._lit.get(event.instrument_id.symbol.value, event.instrument_id)
        now = event.ts_event
        row = [
            now,
            str(event.trade_id),
            str(event.client_order_id),
            str(event.strategy_id),
            str(event.instrument_id),
            _text(mid_price(self.cache, instrument_id)),
            *(None for _ in MARKOUTS_MS),
        ]
        self._open[self._number] = row
        for i, milliseconds in enumerate(MARKOUTS_MS):
            self._wait(now + milliseconds * NS_PER_MS, row, i, instrument_id)
        self._number += 1

    def finish(self) -> None:
        """Write the rows whose last horizon lies beyond the end of the run."""
        for row in self._open.values():
            self._log(tuple(row))
        self._open.clear()

    def _wait(self, at_ns: int, row: list[Any], horizon: int, instrument_id: InstrumentId) -> None:
        waiting = self._due.get(at_ns)
        if waiting is None:
            waiting = self._due[at_ns] = []
            self.clock.set_time_alert_ns(f"markout-{at_ns}", at_ns, callback=self.guard(self._look))
        waiting.append((row, horizon, instrument_id))

    def _look(self, event: Any) -> None:
        for row, horizon, instrument_id in self._due.pop(event.ts_event):
            row[6 + horizon] = _text(mid_price(self.cache, instrument_id))
            if horizon == len(MARKOUTS_MS) - 1:
                self._write_whole()

    def _write_whole(self) -> None:
        """Write the oldest rows that are complete; fills end in the order in which they came."""
        number, row = next(iter(self._open.items()))
        self._log(tuple(row))
        del self._open[number]


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)
