"""A planning problem in whole steps: what is held, wanted and allowed; both planners solve the same one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import PLAN_LOTS_MAX, PLAN_NAMES_MAX, PLAN_VALIDITY_S_MAX
from ufos_nautilus.portfolio.costs import CostModel
from ufos_nautilus.portfolio.restrictions import Restrictions, redistribute
from ufos_nautilus.portfolio.securities import Market, Price, Security, TaxLot
from ufos_nautilus.portfolio.targets import Target
from ufos_nautilus.portfolio.tax import NS_PER_DAY, Slice, TaxRules, slices_of

Mode = Literal["full", "buy_only", "cash_first"]
MODES: tuple[Mode, ...] = ("full", "buy_only", "cash_first")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """How a plan is made.

    Parameters
    ----------
    mode : {"full", "buy_only", "cash_first"}
        Trade both ways; only buy with what cash there is; or use cash first and sell only what is then missing.
    restricted_target : {"refuse", "redistribute"}
        A target that wants a restricted name is an error, or its weight goes to the others.
    restricted_holding : {"sell", "keep"}
        What becomes of a restricted name that is held; it is never bought.
    max_price_age_s : float
        Older prices are refused, seconds.
    validity_s : float
        Life of the plan, seconds.
    max_weight : Decimal
        Largest weight of one name after the plan; more is a violation.
    max_turnover : Decimal
        Largest traded value as a fraction of net asset value; more is a violation.
    max_order_value : Decimal or None
        Largest value of one order, base currency; more is a violation.
    min_order_value : Decimal
        Orders below this value are left out, base currency.
    costs : CostModel
        Terms of trading.
    tax : TaxRules
        Terms of tax.

    """

    mode: Mode = "full"
    restricted_target: Literal["refuse", "redistribute"] = "refuse"
    restricted_holding: Literal["sell", "keep"] = "sell"
    max_price_age_s: float = 5 * 86_400.0
    validity_s: float = 900.0
    max_weight: Decimal = Decimal(1)
    max_turnover: Decimal = Decimal(2)
    max_order_value: Decimal | None = None
    min_order_value: Decimal = Decimal(0)
    costs: CostModel = field(default_factory=CostModel)
    tax: TaxRules = field(default_factory=TaxRules)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise SpecError(f"there is no mode {self.mode!r}", expected=", ".join(MODES))
        if self.restricted_target not in ("refuse", "redistribute"):
            raise SpecError(f"restricted_target is {self.restricted_target!r}", expected="refuse or redistribute")
        if self.restricted_holding not in ("sell", "keep"):
            raise SpecError(f"restricted_holding is {self.restricted_holding!r}", expected="sell or keep")
        if not 0 < self.validity_s <= PLAN_VALIDITY_S_MAX:
            raise SpecError(f"validity is {self.validity_s} s", expected=f"above 0 and at most {PLAN_VALIDITY_S_MAX}")
        if not self.max_price_age_s > 0:
            raise SpecError(f"max_price_age_s is {self.max_price_age_s}", expected="above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Everything a plan depends on.

    Parameters
    ----------
    portfolio, owner, currency : str
        Whose, and in which base currency.
    as_of_ns : int
        Time of the plan, UNIX nanoseconds; no clock is read.
    cash : Decimal
        Cash held, base currency.
    lots : tuple of TaxLot
        Holdings; every unit belongs to a lot.
    target : Target
        What is wanted.
    market : Market
        Securities and prices.
    restrictions : Restrictions
        What the owner will not hold.
    flow : Decimal
        Cash about to come in (positive) or to be paid out (negative).
    loss_sales : mapping
        Symbol -> last time it was sold at a loss, UNIX nanoseconds.
    rules : PlanRules
        How the plan is made.

    """

    portfolio: str
    as_of_ns: int
    cash: Decimal
    lots: tuple[TaxLot, ...]
    target: Target
    market: Market
    owner: str = ""
    currency: str = "USD"
    restrictions: Restrictions = field(default_factory=Restrictions)
    flow: Decimal = Decimal(0)
    loss_sales: Mapping[str, int] = field(default_factory=dict)
    rules: PlanRules = field(default_factory=PlanRules)


@dataclass(slots=True)
class Name:
    """One security of a problem, in whole steps."""

    security: Security
    price: Price
    step_value: Decimal
    """Value of one step, base currency."""
    held: int
    odd: Decimal
    """Units that are no whole step; they stay."""
    want: Decimal
    """Target value less the odd units' value, base currency."""
    may_buy: bool
    may_sell: bool
    rate: Decimal
    """Cost that grows with value, a fraction."""
    slices: list[Slice]
    excluded: str = ""

    @property
    def value(self) -> Decimal:
        """Return the value of the whole steps held."""
        return self.step_value * self.held


@dataclass(slots=True)
class Problem:
    """What a planner solves."""

    names: dict[str, Name]
    cash: Decimal
    """Cash that may be used, after the flow."""
    floor: Decimal
    """Cash that must be left."""
    basis: Decimal
    """Net asset value that target weights refer to: after the flow."""
    nav: Decimal
    """Net asset value before the flow."""
    notes: list[str]
    weights: dict[str, Decimal]
    """Target weights in force, after restrictions."""
    raise_only: bool = False
    """Nothing is bought, and no more is sold than the missing cash takes."""


def make_problem(request: PlanRequest) -> Problem:
    """Check a request and turn it into a problem.

    Raises
    ------
    SpecError
        If the target wants what is unknown or restricted.
    DataError
        If a price is missing or stale, or the cash can't be met.
    LimitExceededError
        If there are too many names or lots.

    """
    rules, target, market = request.rules, request.target, request.market
    if len(request.lots) > PLAN_LOTS_MAX:
        raise LimitExceededError(f"{len(request.lots):,} lots", expected=f"at most {PLAN_LOTS_MAX:,}")
    if not request.cash.is_finite() or not request.flow.is_finite():
        raise DataError(f"cash is {request.cash}, the flow {request.flow}", expected="finite decimals")
    by_symbol: dict[str, list[TaxLot]] = {}
    for lot in request.lots:
        by_symbol.setdefault(lot.symbol, []).append(lot)
    symbols = sorted(by_symbol.keys() | {s for s, w in target.weights.items() if w})
    if len(symbols) > PLAN_NAMES_MAX:
        raise LimitExceededError(f"{len(symbols):,} names", expected=f"at most {PLAN_NAMES_MAX:,}")
    target.require_known({s: 1 for s in market.securities if s in market.prices} | dict.fromkeys(by_symbol, 1))
    _check_prices(symbols, request)
    reasons = request.restrictions.excluded({s: market.securities[s] for s in symbols})
    notes = [f"restriction matches nothing known ({t})" for t in request.restrictions.unmatched(market.securities)]
    weights = _weights(request, reasons, notes)
    nav = request.cash + sum((lot.quantity * market.prices[lot.symbol].price for lot in request.lots), start=Decimal(0))
    basis = nav + request.flow
    if basis <= 0:
        raise DataError(
            f"net asset value after the flow is {basis:f}",
            expected="more than zero",
            next_step="a withdrawal can't take more than the portfolio is worth",
        )
    names = {
        symbol: _name(symbol, by_symbol.get(symbol, []), weights.get(symbol, Decimal(0)), basis, reasons, request)
        for symbol in symbols
    }
    problem = Problem(names, request.cash + request.flow, target.cash * basis, basis, nav, notes, weights)
    _check_cash(problem, request)
    if rules.mode == "cash_first":
        problem.raise_only = problem.cash < problem.floor
        for name in names.values():
            name.may_buy = name.may_buy and not problem.raise_only
            name.may_sell = name.may_sell and problem.raise_only
    return problem


def _check_prices(symbols: list[str], request: PlanRequest) -> None:
    market = request.market
    for symbol in symbols:
        price = market.prices.get(symbol)
        if price is None or symbol not in market.securities:
            what = "price" if price is None else "instrument"
            raise DataError(f"there is no {what} of {symbol}", expected="one for every name held or wanted")
        age_s = (request.as_of_ns - price.ts_ns) / 1e9
        if age_s > request.rules.max_price_age_s:
            raise DataError(
                f"the price of {symbol} is {age_s / 86_400:.1f} days old",
                expected=f"at most {request.rules.max_price_age_s / 86_400:.1f} days",
                next_step="give newer prices, or allow older ones on purpose (max_price_age)",
            )
        if age_s < 0:
            raise DataError(
                f"the price of {symbol} is from after the time of the plan", expected="prices known at that time"
            )


def _weights(request: PlanRequest, reasons: Mapping[str, str], notes: list[str]) -> dict[str, Decimal]:
    weights = {s: w for s, w in request.target.weights.items() if w}
    wanted = {s: reasons[s] for s in weights if s in reasons}
    if wanted:
        listed = ", ".join(f"{s} ({reason})" for s, reason in list(wanted.items())[:5])
        if request.rules.restricted_target == "refuse":
            raise SpecError(
                f"target {request.target.name} wants {len(wanted)} restricted names: {listed}",
                expected="a target without names that the owner excludes",
                next_step="take them out, or let their weight go to the others (restricted_target = redistribute)",
            )
        weights = redistribute(weights, wanted)
        notes.append(f"restricted and given to the others: {listed}")
    return weights


def _name(
    symbol: str,
    lots: list[TaxLot],
    weight: Decimal,
    basis: Decimal,
    reasons: Mapping[str, str],
    request: PlanRequest,
) -> Name:
    rules, security, price = request.rules, request.market.securities[symbol], request.market.prices[symbol]
    slices, odd = slices_of(lots, security.lot, price.price, request.as_of_ns, rules.tax)
    held = sum(s.steps for s in slices)
    step_value = security.lot * price.price
    want = weight * basis - odd * price.price
    excluded = reasons.get(symbol, "")
    loss_ns = request.loss_sales.get(symbol)
    washing = loss_ns is not None and request.as_of_ns - loss_ns <= rules.tax.wash_days * NS_PER_DAY
    may_buy, may_sell = not excluded and not washing, bool(slices)
    if rules.mode == "buy_only":
        may_sell = False
    if excluded and rules.restricted_holding == "keep":
        may_sell, want = False, step_value * held
    band = request.target.band_of(symbol)
    if not excluded and band and abs(step_value * held - want) <= band * basis:
        # Within its band a name is left alone, unless cash is missing.
        short = request.cash + request.flow < request.target.cash * basis
        may_buy, may_sell, want = False, may_sell and short, step_value * held
    rate = rules.costs.linear_rate(price)
    return Name(security, price, step_value, held, odd, want, may_buy, may_sell, rate, slices, excluded)


def _check_cash(problem: Problem, request: PlanRequest) -> None:
    """Raise where even selling all that may be sold leaves less cash than must stay."""
    sellable = sum((n.value * (1 - n.rate) for n in problem.names.values() if n.may_sell), start=Decimal(0))
    if problem.cash + sellable < problem.floor and problem.cash < problem.floor:
        if request.flow >= 0 and request.rules.mode == "buy_only" and problem.cash >= 0:
            problem.floor = problem.cash  # nothing to buy with; not an error
            return
        raise DataError(
            f"not enough cash: {problem.cash:.2f}, and {sellable:.2f} to sell, where {problem.floor:.2f} must be left",
            expected="cash, or holdings that may be sold",
            next_step="lower the withdrawal or the buffer, or let the plan sell (mode full)",
        )
