"""The rule strategy: runs a validated `StrategySpec`, each name on its own, with the engine's indicators."""

import itertools
import math
import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, ClassVar, Literal

from nautilus_trader.model import Bar, BarType, InstrumentId, OrderFilled, OrderSide
from pydantic import Field

from ufos_nautilus.engine import BookConfig, GateDenial
from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio import StrategySpec
from ufos_nautilus.portfolio.rule_text import parse_term
from ufos_strategies.actors.daily_panel import PanelSession
from ufos_strategies.daily import ZERO, DailyBook, DailyConfig
from ufos_strategies.rule_indicators import Gauges, Row

SIGNS = {"long": 1, "short": -1}


class RuleConfig(DailyConfig):
    """Parameters of a rule strategy."""

    strategy: StrategySpec
    """The rules; `ufos strategy schema` prints what they may say."""
    act: Literal["bar", "session"] = "bar"
    """When orders go out: at the end of the bars that decided, or at the next session of the daily panel."""
    base: Decimal | None = Field(default=None, gt=0)
    """Capital that weights refer to, its currency; the book's own net asset value where left out."""
    min_ticket_value: Decimal = Field(default=ZERO, ge=0)
    """Not used: positions are opened and closed whole."""


@dataclass(slots=True)
class Watched:
    """One name: its indicators, and the position the rules hold in it."""

    gauges: Gauges
    closes: deque[float]
    fresh: bool = False
    """A bar came since it was last looked at."""
    side: int = 0
    entry: float = 0.0
    """Price of the first fill; the close that decided until then."""
    filled: bool = False
    best: float = 0.0
    bars_held: int = 0
    quiet: int = 0
    """Bars for which it is still left alone."""


class RuleStrategy(DailyBook[RuleConfig]):
    """Opens what its conditions ask for, in whole positions, and closes it by conditions, stops or time."""

    Config: ClassVar[type[BookConfig]] = RuleConfig

    def __init__(self, config: RuleConfig) -> None:
        super().__init__(config)
        self.rules = config.strategy
        self._conditions = config.strategy.conditions()
        self._rank = parse_term(config.strategy.sizing.rank) if config.strategy.sizing.rank else None
        self._watched: dict[str, Watched] = {}
        self._symbols: dict[str, str] = {}
        self._waiting = False
        self.counts |= {"bars": 0, "opened": 0, "closed": 0, "stopped": 0, "no_room": 0}

    def on_start(self) -> None:
        """Subscribe to the bars of every name that the universe takes in."""
        super().on_start()
        sizing, terms = self.rules.sizing, self.rules.terms()
        keep = sizing.volatility_bars + 1 if sizing.kind == "volatility" else 1
        for symbol in self._chosen():
            bar_type = BarType.from_str(f"{self._names[symbol]}-{self.rules.bars}")
            self._symbols[str(bar_type)] = symbol
            self._watched[symbol] = Watched(Gauges(terms), deque(maxlen=keep))
            self.subscribe_bars(bar_type)

    def _chosen(self) -> list[str]:
        wanted = self.rules.universe
        ids = {i: s for s, i in self._names.items()}
        names = [ids.get(s, s) for s in wanted.symbols] or list(self._names)
        unknown = [s for s in names if s not in self._names]
        if unknown:
            raise SpecError(
                f"strategy {self.rules.name} names {unknown[0]}, which book {self.book_id} may not trade",
                expected="symbols of the run",
            )
        known = self.securities
        if wanted.sectors:
            names = [s for s in names if s in known and known[s].sector in wanted.sectors]
        if not names:
            raise SpecError(f"strategy {self.rules.name} has no name left to watch", expected="sectors of the run")
        return sorted(set(names))

    def on_stop(self) -> None:
        """Refuse a run in which no bar ever came."""
        if not self.counts["bars"]:
            raise SpecError(
                f"book {self.book_id} never had a bar of {self.rules.bars}",
                expected="stored bars of this kind, or one ending in INTERNAL to have it made from quotes or trades",
            )
        if self.params.act == "session":
            super().on_stop()

    def on_bar(self, bar: Bar) -> None:
        """Take a bar; decisions follow when all bars of the moment are there."""
        watched = self._watched[self._symbols[str(bar.bar_type)]]
        row = Row(float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume))
        self.counts["bars"] += 1
        watched.gauges.update(row)
        watched.closes.append(row.close)
        watched.fresh = True
        watched.quiet = max(watched.quiet - 1, 0)
        if watched.side:
            watched.bars_held += 1
            better = max if watched.side > 0 else min
            watched.best = better(watched.best, row.close)
        if self.params.act == "bar" and not self._waiting:
            self._waiting = True
            now = self.clock.timestamp_ns()
            self.at(f"decide-{now}", now + 1, self._on_moment)

    def _on_moment(self, _: Any) -> None:
        self._waiting = False
        self._decide({})

    def on_session(self, session: PanelSession) -> None:
        """Act on the bars since the last session, where that is when orders go out."""
        if self.params.act == "session":
            self._decide(session.marks)

    # what it wants

    def _decide(self, marks: Mapping[str, Decimal]) -> None:
        looked = [s for s, w in self._watched.items() if w.fresh and (not marks or s in marks)]
        entering: list[tuple[float, str, int]] = []
        for symbol in looked:
            watched = self._watched[symbol]
            watched.fresh = False
            if watched.side:
                if self._leaves(watched):
                    self._leave(symbol, watched)
            elif not watched.quiet and symbol not in self.outstanding:
                side = self._enters(watched)
                if side:
                    rank = watched.gauges.value(self._rank) if self._rank is not None else None
                    entering.append((-rank if rank is not None else math.inf, symbol, side))
        if entering:
            self._enter_best(sorted(entering), marks)

    def _enters(self, watched: Watched) -> int:
        """Return the side whose conditions all hold; none where both sides' do."""
        sides = [
            SIGNS[name]
            for name, (enter, _) in self._conditions.items()
            if all(watched.gauges.holds(condition) for condition in enter)
        ]
        return sides[0] if len(sides) == 1 else 0

    def _leaves(self, watched: Watched) -> bool:
        exits, close = self.rules.exits, watched.closes[-1]
        gain = watched.side * (close / watched.entry - 1) * 100
        behind = watched.side * (1 - close / watched.best) * 100
        stopped = (
            (exits.stop_loss_pct is not None and gain <= -exits.stop_loss_pct)
            or (exits.take_profit_pct is not None and gain >= exits.take_profit_pct)
            or (exits.trailing_stop_pct is not None and behind >= exits.trailing_stop_pct)
            or (exits.max_bars is not None and watched.bars_held >= exits.max_bars)
        )
        if stopped:
            self.counts["stopped"] += 1
            return True
        _, leave = self._conditions["long" if watched.side > 0 else "short"]
        return any(watched.gauges.holds(condition) for condition in leave)

    # what it does

    def _leave(self, symbol: str, watched: Watched) -> None:
        held = self.accounts.position(symbol) if self.accounts is not None else ZERO
        change = -held - self.outstanding.get(symbol, ZERO)
        if change:
            self.send(symbol, change)
        self.counts["closed"] += 1
        watched.side, watched.quiet = 0, self.rules.cooldown_bars

    def _enter_best(self, entering: list[tuple[float, str, int]], marks: Mapping[str, Decimal]) -> None:
        sizing = self.rules.sizing
        room = sizing.max_positions - sum(1 for w in self._watched.values() if w.side)
        if room <= 0:
            self.counts["no_room"] += len(entering)
            return
        base, gross = self._base_and_gross(marks)
        for _, symbol, side in entering:
            units = self._units(symbol, base, marks)
            mark = self._mark(symbol, marks)
            if room <= 0 or gross + units * mark > base * Decimal(str(sizing.max_gross)):
                self.counts["no_room"] += 1
                continue
            if not units:
                continue
            watched = self._watched[symbol]
            watched.side, watched.bars_held, watched.filled = side, 0, False
            watched.entry = watched.best = watched.closes[-1]
            self.counts["opened"] += 1
            room -= 1
            gross += units * mark
            self.send(symbol, side * units)

    def _base_and_gross(self, marks: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
        held = self.held()
        value = {s: units * self._mark(s, marks) for s, units in held.items()}
        value |= {s: value.get(s, ZERO) + units * self._mark(s, marks) for s, units in self.outstanding.items()}
        nav = self.cash() + sum((held[s] * self._mark(s, marks) for s in held), start=ZERO)
        base = self.params.base if self.params.base is not None else nav
        return base, sum(map(abs, value.values()), start=ZERO)

    def _mark(self, symbol: str, marks: Mapping[str, Decimal]) -> Decimal:
        mark = marks.get(symbol) or self.last_mark(symbol)
        watched = self._watched.get(symbol)
        if not mark and watched is not None and watched.closes:
            mark = Decimal(str(watched.closes[-1]))
        return mark

    def _units(self, symbol: str, base: Decimal, marks: Mapping[str, Decimal]) -> Decimal:
        """Return whole lots of a position; zero where its size can't be told yet."""
        sizing, lot, mark = self.rules.sizing, self.lot(symbol), self._mark(symbol, marks)
        if sizing.kind == "units":
            units = Decimal(str(sizing.units))
        elif not mark or base <= 0:
            return ZERO
        else:
            weight = sizing.weight
            if sizing.kind == "volatility":
                closes = self._watched[symbol].closes
                if len(closes) <= sizing.volatility_bars:
                    return ZERO
                past = list(closes)
                moves = [math.log(b / a) for a, b in itertools.pairwise(past)]
                per_year = statistics.stdev(moves) * math.sqrt(sizing.bars_per_year)
                weight = min(weight, sizing.volatility_target / per_year) if per_year > 0 else 0.0
            units = Decimal(f"{weight:.8f}") * base / mark
        return (units / lot).to_integral_value(ROUND_FLOOR) * lot

    def on_order_event(self, event: Any) -> None:
        """Take the entry price from the first fill."""
        super().on_order_event(event)
        if isinstance(event, OrderFilled):
            watched = self._watched.get(event.instrument_id.symbol.value)
            opens = 1 if event.order_side == OrderSide.BUY else -1
            price = float(event.last_px)
            if watched is not None and watched.side == opens and not watched.filled and price > 0:
                watched.entry, watched.filled = price, True

    def on_gate_denial(self, denial: GateDenial) -> None:
        """Forget a position whose opening the gate refused."""
        super().on_gate_denial(denial)
        watched = self._watched.get(InstrumentId.from_str(denial.instrument_id).symbol.value)
        if watched is not None and not watched.filled:
            watched.side = 0
