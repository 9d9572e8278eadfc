"""The clock of daily books: once a day the closes of all names, and once a session the market they can trade at."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from nautilus_trader.model import Bar, BarType, InstrumentId
from pydantic import Field, field_validator

from ufos_nautilus.engine import Actor, ActorConfig

CLOSE_TOPIC = "panel.close"
SESSION_TOPIC = "panel.session"
NS_PER_DAY = 86_400_000_000_000
NS_PER_S = 1_000_000_000


class PanelClose(NamedTuple):
    """What a day's bars said; published on ``panel.close``.

    Attributes
    ----------
    ts_ns : int
        When it was published.
    closes, volumes : dict
        Root symbol -> close and volume of the day; names without a bar that day are left out.
    gains : dict
        Root symbol -> (close + what was paid on the day) / previous close: the day's total return plus one.

    """

    ts_ns: int
    closes: dict[str, float]
    volumes: dict[str, float]
    gains: dict[str, float]


class PanelSession(NamedTuple):
    """The market at the moment at which daily books act; published on ``panel.session``.

    Attributes
    ----------
    ts_ns : int
        When.
    number : int
        Sessions so far, from one.
    day : datetime
        The day, midnight UTC.
    marks : dict
        Root symbol -> midpoint; names whose quote is older than `fresh_s` are left out.

    """

    ts_ns: int
    number: int
    day: datetime
    marks: dict[str, Decimal]


def time_of_day(text: str) -> int:
    """Return nanoseconds after midnight of ``hh:mm``."""
    at = time.fromisoformat(text)
    return (at.hour * 3_600 + at.minute * 60 + at.second) * NS_PER_S


class DailyPanelConfig(ActorConfig):
    """Parameters of a panel."""

    instrument_ids: list[str] = Field(default_factory=list)
    """What it watches; empty for every instrument of the run."""
    bars: str = "1-DAY-LAST-EXTERNAL"
    """Kind of bars."""
    close_utc: str = "21:30"
    """When the day's closes are published, hh:mm UTC, after the last bar of the day."""
    session_utc: str = "15:00"
    """When daily books act, hh:mm UTC; days on which nothing was quoted are left out."""
    fresh_s: float = Field(default=21_600.0, gt=0)
    """Oldest quote a mark is taken from, seconds."""

    factors: str = ""
    """Folder of daily factor files that the report explains returns by, relative to where the command runs."""

    @field_validator("close_utc", "session_utc")
    @classmethod
    def _is_time(cls, text: str) -> str:
        time_of_day(text)
        return text

    def instruments(self) -> list[str]:
        """Return what it needs."""
        return self.instrument_ids


class DailyPanel(Actor[DailyPanelConfig]):
    """Publishes closes and sessions; one of it serves all daily books of a run."""

    Config: ClassVar[type[ActorConfig]] = DailyPanelConfig

    def __init__(self, config: DailyPanelConfig) -> None:
        super().__init__(config)
        self._symbols: dict[str, str] = {}
        self._names: dict[str, InstrumentId] = {}
        self._closes: dict[str, float] = {}
        self._volumes: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._paid: dict[tuple[str, str], float] = {}
        self._sessions = self._days = 0
        self._last_session_ns = 0

    def on_start(self) -> None:
        """Subscribe to bars, read what is paid when, set both clocks."""
        names = self.params.instrument_ids or sorted(
            str(i) for i in self.cache.instrument_ids() if not str(i).endswith(".DARK")
        )
        for name in names:
            symbol = name.rpartition(".")[0]
            bar_type = BarType.from_str(f"{name}-{self.params.bars}")
            self._symbols[str(bar_type)] = symbol
            self._names[symbol] = InstrumentId.from_str(name)
            self.subscribe_bars(bar_type)
        for fact in ("dividends", "distributions"):
            self._read(self.facts.get(fact, {}))
        now = self.clock.timestamp_ns()
        for label, text, handler in (
            ("close", self.params.close_utc, self._on_close),
            ("session", self.params.session_utc, self._on_session),
        ):
            first = now // NS_PER_DAY * NS_PER_DAY + time_of_day(text)
            first += 0 if first > now else NS_PER_DAY
            self.clock.set_timer_ns(
                f"panel-{label}", NS_PER_DAY, start_time_ns=first - NS_PER_DAY, callback=self.guard(handler)
            )

    def _read(self, fact: Mapping[str, Any]) -> None:
        for symbol, entries in fact.items():
            for day, amount in entries:
                self._paid[symbol, day] = self._paid.get((symbol, day), 0.0) + float(amount)

    def on_bar(self, bar: Bar) -> None:
        """Keep the bar until the day's closes are published."""
        symbol = self._symbols[str(bar.bar_type)]
        self._closes[symbol] = float(bar.close)
        self._volumes[symbol] = float(bar.volume)

    def _on_close(self, _: Any) -> None:
        if not self._closes:
            return
        now = self.clock.timestamp_ns()
        day = datetime.fromtimestamp(now // NS_PER_S, UTC).date().isoformat()
        paid, before = self._paid, self._before
        gains = {
            symbol: (close + paid.get((symbol, day), 0.0)) / before[symbol]
            for symbol, close in self._closes.items()
            if symbol in before
        }
        message = PanelClose(now, self._closes, self._volumes, gains)
        before.update(self._closes)
        self._closes, self._volumes = {}, {}
        self._days += 1
        self.publish_message(CLOSE_TOPIC, message)

    def _on_session(self, _: Any) -> None:
        now = self.clock.timestamp_ns()
        oldest = max(now - int(self.params.fresh_s * NS_PER_S), self._last_session_ns)
        marks: dict[str, Decimal] = {}
        for symbol, instrument_id in self._names.items():
            quote = self.cache.quote(instrument_id)
            if quote is not None and quote.ts_init > oldest:
                marks[symbol] = (quote.bid_price.as_decimal() + quote.ask_price.as_decimal()) / 2
        if not marks:
            return
        self._last_session_ns = now
        self._sessions += 1
        day = datetime.fromtimestamp(now // NS_PER_S, UTC).replace(hour=0, minute=0, second=0)
        self.publish_message(SESSION_TOPIC, PanelSession(now, self._sessions, day, marks))

    def figures(self) -> dict[str, Any]:
        """Return how many days and sessions there were."""
        return {"days": self._days, "sessions": self._sessions}
