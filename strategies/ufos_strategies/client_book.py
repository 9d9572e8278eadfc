"""A client's portfolio: held to a target within restrictions, on a schedule and when it drifts; money in and out."""

from collections import deque
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ufos_nautilus.engine import BookConfig
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.portfolio import (
    CostModel,
    Market,
    PlanRequest,
    PlanRules,
    Price,
    Restrictions,
    Security,
    Target,
    TaxLot,
    TaxRules,
)
from ufos_nautilus.portfolio.planner import decide
from ufos_nautilus.portfolio.problem import make_problem
from ufos_nautilus.portfolio.restrictions import redistribute
from ufos_nautilus.portfolio.schedule import Period, drift, is_due
from ufos_strategies.actors.daily_panel import PanelClose, PanelSession
from ufos_strategies.daily import ZERO, DailyBook, DailyConfig
from ufos_strategies.lots import OwnLots
from ufos_strategies.targets import TargetConfig, choose, fixed_target, rule_target

NS_PER_DAY = 86_400_000_000_000


class RiskProfileConfig(BaseModel):
    """What the owner bears."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    gamma: Decimal = Field(default=Decimal(3), gt=0)
    """Risk aversion."""
    max_drawdown: Decimal = Field(default=Decimal("0.5"), gt=0, le=1)
    """Largest loss from a peak that the owner bears, a fraction; beyond it all is sold until the next period."""


class RestrictionsConfig(BaseModel):
    """What the owner will not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    names: list[str] = Field(default_factory=list)
    """Root symbols."""
    sectors: list[str] = Field(default_factory=list)
    """GICS sectors."""
    sub_industries: list[str] = Field(default_factory=list)
    """GICS sub-industries, for example ["Tobacco"]."""
    tags: list[str] = Field(default_factory=list)
    """Labels of `tags`, such as ESG exclusions."""


class ClientConfig(DailyConfig):
    """Parameters of a client's book."""

    owner_name: str = "a client"
    """Who owns it."""
    risk_profile: RiskProfileConfig = RiskProfileConfig()
    """What the owner bears."""
    benchmark: str = ""
    """What it is measured against: a book of the run, or "market" for the market of the panel's factor files."""
    target: TargetConfig
    """What it should hold."""
    restrictions: RestrictionsConfig = RestrictionsConfig()
    """What it never holds."""
    tags: dict[str, list[str]] = Field(default_factory=dict)
    """Root symbol -> labels of the owner's own, for restrictions by tag."""
    schedule: Period = "monthly"
    """How often it is brought back to its target."""
    drift_trigger: Decimal = Field(default=Decimal("0.05"), gt=0, le=1)
    """Active share from which it is brought back before that; 1 never."""
    check_sessions: int = Field(default=5, ge=1)
    """Sessions between looks at drift, cash and flows."""
    history_sessions: int = Field(default=20, ge=0)
    """Days of history before the first purchase, where the target's rule needs them."""
    invest_cash_above: Decimal = Field(default=Decimal("0.02"), gt=0, le=1)
    """Cash beyond the target's own from which it is invested without selling anything (dividends, deposits)."""
    notice_days: int = Field(default=7, ge=0)
    """Days before a withdrawal at which cash is raised for it."""
    planner: Literal["proportional", "exact"] = "proportional"
    """How plans are made; exact needs scipy and takes longer."""
    tax: bool = False
    """Keep tax lots, sell by `lot_order`, and do not buy back what was sold at a loss within the wash-sale days."""
    lot_order: Literal["fifo", "lifo", "highest_cost", "least_tax"] = "least_tax"
    """Which lots a sale closes first."""
    tax_weight: Decimal = Field(default=ZERO, ge=0)
    """What tax weighs against deviation, exact planner only."""
    commission_bps: Decimal = Field(default=Decimal("0.3"), ge=0)
    """For estimates, basis points of value."""
    half_spread_bps: Decimal = Field(default=Decimal(3), ge=0)
    """For estimates, basis points of value."""


class ClientBook(DailyBook[ClientConfig]):
    """Plans and sends tickets; everything it decides comes from the pure planner.

    A buy-and-hold client has ``schedule = "never"`` and ``drift_trigger = 1``: it buys its target once.
    """

    Config: ClassVar[type[BookConfig]] = ClientConfig
    kind = "client"

    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config)
        self.restrictions = Restrictions.of(config.restrictions.model_dump())
        self.target: Target | None = None
        self.counts |= {"rebalances": 0, "drift_triggers": 0, "cash_plans": 0, "flows": 0, "stopped": 0}
        self._gains: dict[str, deque[float]] = {}
        self._traded: dict[str, deque[float]] = {}
        self._last: date | None = None
        self._peak = ZERO
        self._seen: dict[str, Security] = {}
        self._lots_of = OwnLots(config.lot_order) if config.tax else None

    def on_start(self) -> None:
        """Read the target where it needs no market, and refuse one that wants what is restricted."""
        super().on_start()
        tags = {s: frozenset(t.casefold() for t in labels) for s, labels in self.params.tags.items()}
        self._seen = {
            s: Security(
                symbol=s,
                instrument_id=self._names[s],
                sector=known.sector,
                sub_industry=known.sub_industry,
                tags=known.tags | tags.get(s, frozenset()),
                lot=known.lot,
            )
            for s, known in self.securities.items()
            if s in self._names
        }
        strange = self.restrictions.unmatched(self._seen)
        if strange:
            self.counts["restrictions_unmatched"] = ", ".join(strange)
        found = fixed_target(self.params.target, self.book_id)
        if found is not None:
            found.require_known(self._seen)
            self._adopt(found)

    def on_close(self, close: PanelClose) -> None:
        """Keep what the target's rule needs until the target is made."""
        if self.target is not None:
            return
        keep = max(self.params.history_sessions, 1)
        for symbol, price in close.closes.items():
            self._traded.setdefault(symbol, deque(maxlen=keep)).append(price * close.volumes[symbol])
        for symbol, gain in close.gains.items():
            self._gains.setdefault(symbol, deque(maxlen=keep)).append(gain)

    def on_session(self, session: PanelSession) -> None:
        """Rebalance where it is due, else look at drift, cash and flows every few sessions."""
        if self.target is None:
            self._make_target()
            if self.target is None:
                return
        day = session.day.date()
        first = self._last is None
        if first or is_due(self.params.schedule, day, self._last):
            self._last = day
            self.counts["rebalances"] += 1
            self._plan(session, "full", ZERO)
            return
        if session.number % self.params.check_sessions:
            return
        self._check(session)

    def on_cash_flow(self, flow: Any) -> None:
        """Count a deposit or withdrawal; the next look at cash acts on it."""
        self.counts["flows"] += 1

    def on_order_event(self, event: Any) -> None:
        """Keep tax lots beside what every daily book counts."""
        super().on_order_event(event)
        if self._lots_of is not None:
            self._lots_of.on_order_event(event)

    # what it wants

    def _make_target(self) -> None:
        if self.sessions <= self.params.history_sessions or not self._traded:
            return
        traded = {s: sum(v) / len(v) for s, v in self._traded.items() if len(v) >= self.params.history_sessions // 2}
        names = choose(self.params.target.universe, self._seen, traded, self.restrictions, self.params.seed)
        gains = {s: list(self._gains.get(s, ())) for s in names}
        self._adopt(rule_target(self.params.target, names, gains, traded, self.book_id))
        self._gains.clear()
        self._traded.clear()

    def _adopt(self, target: Target) -> None:
        reasons = self.restrictions.excluded({s: self._seen[s] for s in target.weights})
        if reasons:
            self.counts["redistributed"] = len(reasons)
            weights = redistribute(target.weights, reasons)
            target = Target.of({"weights": weights, "cash": target.cash, "band": target.band}, target.name)
        self.target = target

    # when and how

    def _check(self, session: PanelSession) -> None:
        target = self.target
        if target is None:
            return
        cash, held = self.cash(), self.held()
        values = {s: units * (session.marks.get(s) or self.last_mark(s)) for s, units in held.items()}
        nav = cash + sum(values.values(), start=ZERO)
        self._peak = max(self._peak, nav)
        if nav < self._peak * (1 - self.params.risk_profile.max_drawdown):
            self.counts["stopped"] += 1
            self._peak = nav
            self.send_positions({}, session.marks)
            return
        due = self._withdrawal(session.ts_ns)
        if due and cash < due + target.cash * nav:
            self.counts["cash_plans"] += 1
            self._plan(session, "cash_first", -due)
        elif self.params.drift_trigger < 1 and (
            drift(values, target.weights, cash - due, target.cash) > self.params.drift_trigger
        ):
            self.counts["drift_triggers"] += 1
            self._plan(session, "full", -due)
        elif cash - due > (target.cash + self.params.invest_cash_above) * nav:
            self.counts["cash_plans"] += 1
            self._plan(session, "buy_only", -due)

    def _withdrawal(self, now_ns: int) -> Decimal:
        """Return what the owner will take out within the notice."""
        horizon = now_ns + self.params.notice_days * NS_PER_DAY
        return sum((-f.amount for f in self.flows if f.amount < 0 and now_ns < f.ts_ns <= horizon), start=ZERO)

    def _plan(self, session: PanelSession, mode: Literal["full", "buy_only", "cash_first"], flow: Decimal) -> None:
        request = self._plan_request(session, mode, flow)
        try:
            problem = make_problem(request)
            trades, _, _ = decide(problem, request, self.params.planner)
        except DataError:
            if mode == "full" and flow == ZERO:
                raise
            self.counts["unplanned"] = self.counts.get("unplanned", 0) + 1
            return
        for symbol in sorted(trades.symbols(), key=lambda s: (trades.steps(s) > 0, s)):
            change = trades.steps(symbol) * self.lot(symbol) - self.outstanding.get(symbol, ZERO)
            if symbol in session.marks and change:
                self.send(symbol, change)

    def _plan_request(self, session: PanelSession, mode: Any, flow: Decimal) -> PlanRequest:
        target = self.target
        if target is None:
            raise SpecError(f"book {self.book_id} has no target yet")
        now, held, p = session.ts_ns, self.held(), self.params
        marks: dict[str, Decimal] = {}
        for symbol in held.keys() | target.weights.keys():
            mark = session.marks.get(symbol) or self.last_mark(symbol)
            if mark:
                marks[symbol] = mark
        wanted = {s: w for s, w in target.weights.items() if s in session.marks or s in held}
        if len(wanted) < len(target.weights):
            # What can't be traded today is left out of the target, and its weight goes to the others.
            wanted = redistribute(target.weights, {s: "not traded" for s in target.weights if s not in wanted})
        return PlanRequest(
            portfolio=self.book_id,
            owner=p.owner_name,
            currency=p.currency,
            as_of_ns=now,
            cash=self.cash(),
            lots=self._tax_lots(held, marks, now),
            target=Target.of({"weights": wanted, "cash": target.cash, "band": target.band}, target.name),
            market=Market(self._seen, {s: Price(price=mark, ts_ns=now) for s, mark in marks.items()}),
            restrictions=self.restrictions,
            flow=flow,
            loss_sales=self._lots_of.loss_sales if self._lots_of is not None else {},
            rules=PlanRules(
                mode=mode,
                restricted_target="redistribute",
                min_order_value=p.min_ticket_value,
                costs=CostModel(rate_bps=p.commission_bps, half_spread_bps=p.half_spread_bps, impact=ZERO),
                tax=TaxRules(order=p.lot_order if p.tax else "fifo", weight=p.tax_weight if p.tax else ZERO),
            ),
        )

    def _tax_lots(self, held: Mapping[str, Decimal], marks: Mapping[str, Decimal], now: int) -> tuple[TaxLot, ...]:
        if self._lots_of is not None:
            return self._lots_of.tax_lots(held)
        # Without tax every holding is one old lot at today's price.
        return tuple(
            TaxLot(symbol, "all", now - 1_000 * NS_PER_DAY, units, units * marks[symbol])
            for symbol, units in held.items()
            if units > 0 and symbol in marks
        )
