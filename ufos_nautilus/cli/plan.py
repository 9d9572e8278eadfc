"""`ufos plan`: make, show and simulate rebalancing plans; nothing here trades."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.plan_market import catalog_market
from ufos_nautilus.cli.plan_target import target as make_target_file
from ufos_nautilus.errors import BadInputError, SpecError
from ufos_nautilus.limits import PLAN_FILE_BYTES_MAX
from ufos_nautilus.portfolio import Market, Plan, PlanRequest, Target, make_plan, read_portfolio, read_prices
from ufos_nautilus.portfolio import simulate as simulate_plan
from ufos_nautilus.portfolio.files import PortfolioFile, time_ns
from ufos_nautilus.portfolio.securities import Security
from ufos_nautilus.portfolio.targets import decimal_of, read_target
from ufos_nautilus.report.plotly_asset import write_whole

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Make, show and simulate rebalancing plans.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id or a part of it, a file, or `last`.")]
ROWS_SHOWN = 40
LIMITS_NOT_KEPT = 4
"""Exit code of a plan that is stored and breaks a limit."""
app.command("target")(make_target_file)


def plans_root() -> Path:
    """Return the directory of stored plans: the environment's UFOS_PLANS, or ``plans`` here."""
    return Path(os.environ.get("UFOS_PLANS", "plans"))


@app.command()
def rebalance(
    portfolio: Annotated[Path, typer.Argument(help="Portfolio file (TOML): holdings, cash, restrictions, target.")],
    target: Annotated[Path | None, typer.Option(help="Target weights (TOML or CSV) instead of the file's own.")] = None,
    cash: Annotated[str, typer.Option(help='Fraction kept in cash, or "rest" for what the weights leave.')] = "",
    prices: Annotated[Path | None, typer.Option(help="Prices (CSV: symbol, price, time).")] = None,
    catalog: Annotated[Path | None, typer.Option(help="Catalog whose last prices count.")] = None,
    at: Annotated[str, typer.Option(help="Time of the plan (ISO); default the newest price.")] = "",
    method: Annotated[str, typer.Option(help="exact, proportional, or auto: exact where scipy is there.")] = "auto",
    mode: Annotated[str, typer.Option(help="full, buy_only or cash_first; default the file's.")] = "",
    tax_weight: Annotated[str, typer.Option(help="What tax weighs against deviation; default the file's.")] = "",
    lots: Annotated[str, typer.Option(help="fifo, lifo, highest_cost or least_tax; default the file's.")] = "",
    redistribute: Annotated[
        bool, typer.Option("--redistribute", help="Give the weight of restricted names to the others.")
    ] = False,
    json: Json = False,
) -> None:
    """Plan the orders that take a portfolio to its target, and store the plan; exit code 4 where it breaks a limit."""
    found = read_portfolio(portfolio)
    chosen = _target(found, portfolio.parent, target, cash)
    at_ns = _time(at) or found.as_of_ns
    market = _market(found, prices, catalog, at_ns)
    newest = max((market.prices[s].ts_ns for s in _symbols(found, chosen) if s in market.prices), default=0)
    rules = found.rules
    if mode:
        rules = replace(rules, mode=mode)  # pyright: ignore[reportArgumentType] (checked by the class)
    if redistribute:
        rules = replace(rules, restricted_target="redistribute")
    tax = rules.tax
    if tax_weight:
        tax = replace(tax, weight=decimal_of(tax_weight, "--tax-weight"))
    if lots:
        tax = replace(tax, order=lots)  # pyright: ignore[reportArgumentType] (checked by the class)
    request = PlanRequest(
        portfolio=found.portfolio,
        owner=found.owner,
        currency=found.currency,
        as_of_ns=at_ns or newest,
        cash=found.cash,
        lots=found.lots,
        target=chosen,
        market=market,
        restrictions=found.restrictions,
        flow=found.flow,
        loss_sales=found.loss_sales,
        rules=replace(rules, tax=tax),
    )
    if method == "auto":
        method = "exact" if find_spec("scipy") else "proportional"
    plan = make_plan(request, method)  # pyright: ignore[reportArgumentType] (checked by the planner)
    path = plans_root() / f"{plan.plan_id}.json"
    write_whole(path, plan.to_json().encode())
    if json:
        print_json({**plan.to_dict(), "plan_id": plan.plan_id, "path": str(path), "summary": summary(plan)})
    else:
        _show(plan)
        out().print(f"  stored: {path}\n  next: ufos plan simulate {plan.plan_id}", highlight=False)
    if plan.violations:
        raise typer.Exit(LIMITS_NOT_KEPT)


@app.command("show")
def show_(plan: PlanName = "last", json: Json = False) -> None:
    """Show a stored plan after checking its hash."""
    found = Plan.from_json(_plan_file(plan).read_text("utf-8"))
    if json:
        print_json({**found.to_dict(), "plan_id": found.plan_id, "summary": summary(found)})
    else:
        _show(found)


@app.command()
def simulate(
    plan: PlanName = "last",
    prices: Annotated[Path | None, typer.Option(help="Prices to fill at (CSV: symbol, price, time).")] = None,
    move: Annotated[str, typer.Option(help="Relative change of every planned price, for example -0.05.")] = "0",
    at: Annotated[str, typer.Option(help="Refuse the plan if it is not current at this time (ISO).")] = "",
    json: Json = False,
) -> None:
    """Fill a plan's orders at other prices, on paper: cash, weights and limits after it."""
    found = Plan.from_json(_plan_file(plan).read_text("utf-8"))
    if at:
        found.require_current(_time(at))
    given = {s: p.price for s, p in read_prices(prices).items()} if prices else None
    result = simulate_plan(found, given, decimal_of(move, "--move"))
    if json:
        weights = {s: format(w, "f") for s, w in result.weights.items()}
        print_json(
            {
                "plan_id": found.plan_id,
                **{k: getattr(result, k) for k in ("nav", "cash", "cost", "active_share")},
                "weights": weights,
                "violations": [{"code": v.code, "subject": v.subject, "detail": v.detail} for v in result.violations],
            }
        )
        return
    rows = [
        ("net asset value", f"{result.nav:,} {found.currency}"),
        ("cash", f"{result.cash:,} {found.currency}"),
        ("cost", f"{result.cost:,} {found.currency}"),
        ("active share", f"{result.active_share:.4%}"),
        *((v.code, f"{v.subject}: {v.detail}") for v in result.violations),
    ]
    print_table(f"plan {found.plan_id} filled at these prices", ("what", "after"), rows)


def summary(plan: Plan) -> str:
    """Return a plan in a sentence: how many trades, at what cost, and how near the target it comes."""
    count = len(plan.orders)
    return (
        f"{count} trade{'' if count == 1 else 's'}, estimated cost {plan.cost:,.2f} {plan.currency} "
        f"({plan.commission:,.2f} commission), active share {plan.drift_before.active_share:.2%} to "
        f"{plan.drift_after.active_share:.2%}, tax {plan.tax.tax:,.2f} {plan.currency}"
    )


def _show(plan: Plan) -> None:
    life = f"{_moment(plan.created_ns)} to {_moment(plan.expires_ns)}"
    life += " (expired)" if time.time_ns() >= plan.expires_ns else ""
    print_table(
        f"plan {plan.plan_id}: {plan.portfolio}",
        ("what", "value"),
        [
            ("summary", summary(plan)),
            ("method", f"{plan.method} ({plan.status}), {plan.mode}, towards {plan.target}"),
            ("valid", life),
            ("net asset value", f"{plan.nav:,} {plan.currency}"),
            ("cash", f"{plan.cash_before:,} to {plan.cash_after:,} {plan.currency}, at least {plan.cash_floor:,}"),
            ("half spread / impact", f"{plan.half_spread:,} / {plan.impact:,} {plan.currency}"),
            ("largest distance", f"{plan.drift_after.largest:.4%} ({plan.drift_after.name})"),
            ("hash", plan.hash),
        ],
    )
    orders = [
        (o.side, o.instrument_id, o.quantity, o.price, f"{o.value:,}", f"{o.commission + o.half_spread + o.impact:,}",
         str(len(o.lots) or ""))
        for o in plan.orders[:ROWS_SHOWN]
    ]  # fmt: skip
    print_table("orders", ("side", "instrument", "quantity", "price", "value", "cost", "lots"), orders)
    if len(plan.orders) > ROWS_SHOWN:
        out().print(f"  the first {ROWS_SHOWN} of {len(plan.orders)} orders; --json has all", highlight=False)
    widest = sorted(plan.weights, key=lambda w: (-abs(w.after - w.target), w.symbol))
    weights = [(w.symbol, f"{w.before:.2%}", f"{w.target:.2%}", f"{w.after:.2%}", w.excluded) for w in widest]
    print_table("weights", ("name", "before", "target", "after", "excluded by"), weights[:ROWS_SHOWN])
    if len(weights) > ROWS_SHOWN:
        out().print(f"  the {ROWS_SHOWN} furthest from target of {len(weights)}; --json has all", highlight=False)
    if plan.violations:
        rows = [(v.code, v.subject, v.detail) for v in plan.violations[:ROWS_SHOWN]]
        print_table("limits not kept", ("limit", "whose", "what"), rows)
    for note in plan.notes:
        out().print(f"  note: {note}", highlight=False)


def _target(found: PortfolioFile, folder: Path, given: Path | None, cash: str) -> Target:
    if given is not None:
        return read_target(given, cash)
    data: dict[str, Any] = dict(found.target)
    if not data:
        raise SpecError("there is no target", expected="a [target] table in the portfolio file, or --target FILE")
    if "file" in data:
        return read_target(folder / str(data["file"]), cash or str(data.get("cash", "")))
    return Target.of({**data, "cash": cash} if cash else data, found.portfolio)


def _symbols(found: PortfolioFile, target: Target) -> set[str]:
    return {lot.symbol for lot in found.lots} | set(target.weights)


def _market(found: PortfolioFile, prices: Path | None, catalog: Path | None, at_ns: int) -> Market:
    base = catalog or (Path(found.catalog) if found.catalog and prices is None else None)
    market = catalog_market(base, at_ns) if base else Market()
    known = {**market.prices, **found.prices, **(read_prices(prices) if prices else {})}
    if not known:
        raise SpecError(
            "there are no prices", expected="`prices` in the portfolio file, --prices FILE or --catalog DIR"
        )
    securities = {**market.securities, **found.securities}
    return Market({s: securities.get(s, Security(symbol=s)) for s in known}, known)


def _plan_file(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        found = [path]
    else:
        stored = sorted(plans_root().glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        found = stored[-1:] if name == "last" else [p for p in stored if p.stem.startswith(name)]
    if len(found) != 1:
        came = f"{len(found)} plans match {name!r}" if found else f"there is no plan {name!r} in {plans_root()}"
        raise BadInputError(came, expected="one plan's id, a file, or `last`", next_step="ufos plan rebalance ...")
    if found[0].stat().st_size > PLAN_FILE_BYTES_MAX:
        raise BadInputError(f"{found[0]} is larger than {PLAN_FILE_BYTES_MAX:,} bytes", expected="a plan")
    return found[0]


def _time(text: str) -> int:
    if not text:
        return 0
    try:
        return time_ns(datetime.fromisoformat(text))
    except ValueError:
        raise SpecError(f"{text!r} is no time", expected="ISO 8601, such as 2017-12-06T21:00:00Z") from None


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
