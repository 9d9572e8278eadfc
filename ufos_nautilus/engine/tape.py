"""What the market trades: volume per instrument for whoever paces orders by it, and what earlier days traded when."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, Bar, BarType, InstrumentId, TradeTick

from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import TAPE_DAYS_MAX

NS_PER_MINUTE = 60_000_000_000
MINUTES_PER_DAY = 1_440


class Tape(InTurn, Guarded, DataActor):
    """Counts the volume of the instruments somebody asked for, from trades or else from bars.

    Nothing is subscribed until `watch`, so a run whose orders are not paced by volume pays nothing.

    Parameters
    ----------
    sources : mapping
        Instrument id -> ``""`` where it has trades, else the type of the bars that carry its volume.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("TAPE-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = dict(sources)
        self._scale: dict[str, float] = {}
        self._volume: dict[str, int] = {}
        self._minutes: dict[str, dict[int, deque[list[int]]]] = {}
        """Instrument id -> minute of the day -> the last days and what each traded in that minute."""

    def knows(self, instrument_id: InstrumentId) -> bool:
        """Tell whether the run has traded volume of an instrument."""
        return str(instrument_id) in self._sources

    def watch(self, instrument_id: InstrumentId) -> None:
        """Start counting an instrument; doing so again changes nothing.

        Raises
        ------
        DataError
            If the run has neither trades nor bars of it.

        """
        name = str(instrument_id)
        if name in self._volume:
            return
        source = self._sources.get(name)
        if source is None:
            raise DataError(f"the run has no traded volume of {name}", expected="trades or bars among its data")
        instrument: Any = self.cache.instrument(instrument_id)
        self._scale[name] = float(10**instrument.size_precision)
        self._volume[name] = 0
        if source:
            self.subscribe_bars(BarType.from_str(source))
        else:
            self.subscribe_trades(instrument_id)

    def volume(self, instrument_id: InstrumentId) -> int:
        """Return what was traded since `watch`, size units; a simulated market does not print the run's own fills."""
        return self._volume.get(str(instrument_id), 0)

    def profile(self, instrument_id: InstrumentId, start_ns: int, end_ns: int, spans: int) -> list[int]:
        """Return the shares that equal spans had in what earlier days traded at the same clock times.

        Volume is known by the minute and spread evenly within it. All ones where no earlier day was seen: a flat
        profile. Only the proportions mean something.
        """
        seen = self._minutes.get(str(instrument_id), {})
        profile = [0] * spans
        width, today = end_ns - start_ns, start_ns // NS_PER_MINUTE // MINUTES_PER_DAY
        for minute in range(start_ns // NS_PER_MINUTE, -(-end_ns // NS_PER_MINUTE)):
            units = sum(units for day, units in seen.get(minute % MINUTES_PER_DAY, ()) if day < today)
            begin, end = max(minute * NS_PER_MINUTE, start_ns), min((minute + 1) * NS_PER_MINUTE, end_ns)
            while units and begin < end:
                span = (begin - start_ns) * spans // width
                border = min(start_ns - (-(span + 1) * width // spans), end)
                profile[span] += units * (border - begin)
                begin = border
        return profile if any(profile) else [1] * spans

    def on_trade(self, trade: TradeTick) -> None:
        """Count a trade of the market."""
        name = str(trade.instrument_id)
        self.count(name, round(float(trade.size) * self._scale[name]), trade.ts_init)

    def on_bar(self, bar: Bar) -> None:
        """Count a bar's volume when the bar is known."""
        name = str(bar.bar_type.instrument_id)
        self.count(name, round(float(bar.volume) * self._scale[name]), bar.ts_init)

    def count(self, name: str, units: int, ts_ns: int) -> None:
        """Add traded size units to an instrument."""
        self._volume[name] = self._volume.get(name, 0) + units
        day, minute = divmod(ts_ns // NS_PER_MINUTE, MINUTES_PER_DAY)
        days = self._minutes.setdefault(name, {}).setdefault(minute, deque(maxlen=TAPE_DAYS_MAX))
        if days and days[-1][0] == day:
            days[-1][1] += units
        else:
            days.append([day, units])
