"""`ufos risk`: limits, what they say of orders and books, why something was denied, and value at risk."""

import json as json_module
import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.risk_series import backtest_of_file
from ufos_nautilus.crossing.chain import ChainReader, Seal
from ufos_nautilus.errors import DataError, IntegrityError, SpecError
from ufos_nautilus.portfolio import Plan
from ufos_nautilus.risk.checks import CODES
from ufos_nautilus.risk.compiled import Limits, SlotRules
from ufos_nautilus.risk.entry import Holding, Proposal, Verdict, firm_of_book, judge
from ufos_nautilus.risk.fixed import text
from ufos_nautilus.risk.rules import RiskRules
from ufos_nautilus.risk.rules_file import diff as diff_rules
from ufos_nautilus.risk.rules_file import flat, load_rules

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Limits, checks, explanations and value at risk.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LimitsFile = Annotated[Path, typer.Option("--limits", help="Limits file (TOML).")]
DEFAULT = Path("strategies/limits.toml")
DENIALS_SHOWN = 200
DEFECTS = 4
"""Exit code of a check that found something."""


@app.command()
def limits(
    book: Annotated[str, typer.Option(help="Show what binds one book; with --instrument.")] = "",
    instrument: Annotated[str, typer.Option(help="Instrument id, for example AAAA.XSIM.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of the book, where the file does not say.")] = "",
    file: LimitsFile = DEFAULT,
    json: Json = False,
) -> None:
    """Show every limit of a file, or the tightest of each that bind one book in one instrument."""
    rules = load_rules(file)
    if bool(book) != bool(instrument):
        raise SpecError("--book and --instrument belong together", expected="both or neither")
    if not book:
        values = flat(rules)
        if json:
            print_json({"limits": values, "digest": rules.digest(), "version": rules.version})
            return
        print_table(f"{rules.name}, version {rules.version}", ("limit", "value"), list(values.items()))
        return
    found = Limits(rules).slot(book, _kind(rules, book, kind), instrument)
    values = _readable(found, rules.currency)
    if json:
        print_json({"book": book, "instrument": instrument, "binds": values})
    else:
        print_table(f"what binds {book} in {instrument}", ("limit", "value"), list(values.items()))


@app.command()
def check(
    targets: Annotated[
        list[Path] | None, typer.Argument(help="Books (.py files or folders) and plans (.json); or one order below.")
    ] = None,
    book: Annotated[str, typer.Option(help="Book of the order or plan.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of the book: desk, client, strategy or house.")] = "",
    instrument: Annotated[str, typer.Option(help="Instrument id of the order.")] = "",
    side: Annotated[str, typer.Option(help="BUY or SELL.")] = "BUY",
    quantity: Annotated[str, typer.Option(help="Units of the order.")] = "",
    price: Annotated[str, typer.Option(help="Limit price; a market order without it.")] = "",
    last: Annotated[str, typer.Option(help="Last price of the instrument.")] = "",
    held: Annotated[str, typer.Option(help="Units held, signed.")] = "0",
    capital: Annotated[str, typer.Option(help="The book's capital, in the limits' currency.")] = "1000000",
    file: LimitsFile = DEFAULT,
    json: Json = False,
) -> None:
    """Refuse books that call around the gate, and judge plans or one order by the limits; exit code 4 on any finding.

    Nothing is sent.
    """
    found: list[dict[str, Any]] = []
    looked = 0
    for target in targets or []:
        if target.suffix == ".json":
            verdicts = _check_plan(target, load_rules(file), book, kind)
            looked += len(verdicts)
            found += _violations(verdicts, str(target))
        else:
            files = sorted(target.rglob("*.py")) if target.is_dir() else [target]
            looked += len(files)
            found += [finding for path in files for finding in _bypasses(path)]
    if instrument:
        rules = load_rules(file)
        order = Proposal(
            book, instrument, _side(side), _number(quantity, "--quantity"),
            _number(price, "--price") if price else None,
        )  # fmt: skip
        now = time.time_ns()
        known = [Holding(instrument, _number(held, "--held"), _number(last, "--last"), rules.currency)] if last else []
        bounds, whose = Limits(rules), _kind(rules, book, kind)
        firm = firm_of_book(bounds, book, whose, _number(capital, "--capital"), known, rules.currency, now)
        looked += 1
        found += _violations(judge([order], firm, bounds, now), "order")
    if not looked:
        raise SpecError("nothing to check", expected="files, plans, or an order with --book, --instrument, --quantity")
    if json:
        print_json({"checked": looked, "findings": found})
    elif found:
        columns = ("where", "what", "limit", "value")
        print_table("findings", columns, [tuple(f[c] for c in columns) for f in found])
    else:
        out().print(f"{looked} checked, nothing found")
    if found:
        raise SystemExit(DEFECTS)


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="A code, or a run (id, part of one, folder or `last`).")] = "",
    order: Annotated[str, typer.Option(help="Only this client order id.")] = "",
    json: Json = False,
) -> None:
    """Explain codes of denials, or show what the gate and the switch of a run denied and did; checks the hash chain."""
    if not what or what.upper() in CODES:
        codes = {c: m for c, m in CODES.items() if not what or c == what.upper()}
        if json:
            print_json({"codes": codes})
        else:
            print_table("codes, in the order of the check", ("code", "what it means"), list(codes.items()))
        return
    path = _record(what)
    rows: list[dict[str, str]] = []
    counts: dict[str, int] = {}
    for record in ChainReader(path, need_seal=False, expect=_kept_seal(path)):
        counts[record["what"]] = counts.get(record["what"], 0) + (
            len(record["rows"]) if record["what"] == "passed" else 1
        )
        if record["what"] == "denied" and order in ("", record["order"]):
            rows += [{"order": record["order"], "action": record["action"], **v} for v in record["violations"]]
        elif record["what"] not in ("passed", "denied") and not order:
            told = {k: v for k, v in record.items() if k not in ("what", "ts_ns")}
            rows.append({"order": "", "action": record["what"], "code": json_module.dumps(told)})
    if json:
        print_json({"record": str(path), "counts": counts, "rows": rows[:DENIALS_SHOWN], "rows_in_all": len(rows)})
        return
    columns = ("order", "action", "book", "instrument", "code", "limit", "value")
    shown = [tuple(r.get(c, "") for c in columns) for r in rows[:DENIALS_SHOWN]]
    print_table(f"{path}: the chain holds", columns, shown)
    out().print("  " + ", ".join(f"{n:,} {w}" for w, n in sorted(counts.items())), highlight=False)


@app.command()
def diff(old: Path, new: Path, json: Json = False) -> None:
    """Show what differs between two limits files."""
    changes = diff_rules(load_rules(old), load_rules(new))
    if json:
        print_json({"changes": changes})
    else:
        print_table(f"{old} to {new}", ("limit", "old", "new"), changes)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a limits file."""
    print(json_module.dumps(RiskRules.model_json_schema(), indent=2))


@app.command()
def var(
    prices: Annotated[Path, typer.Argument(help="Daily prices (Parquet or CSV): date, symbol, adj_close or close.")],
    symbols: Annotated[str, typer.Option(help="Comma-separated; every complete one unless given.")] = "",
    window: Annotated[int, typer.Option(min=20, max=5_000, help="Days each value at risk is measured on.")] = 250,
    json: Json = False,
) -> None:
    """Test value at risk by three methods on an equally weighted portfolio: Kupiec's and Christoffersen's p-values."""
    result = backtest_of_file(prices, [s for s in symbols.split(",") if s], window)
    if json:
        print_json(result)
        return
    columns = ("method", "at", "VaR %", "ES %", "hits", "Kupiec", "Christ.", "both")
    rows = [
        (r["method"].replace("_", "-"), f"{float(r['level']):.0%}", f"{r['var_pct']:.3f}", f"{r['es_pct']:.3f}",
         f"{r['breaches']}/{r['expected']:.1f}",
         *(f"{r[p]:.4f}" for p in ("kupiec_p", "independence_p", "coverage_p")))
        for r in result["rows"]
    ]  # fmt: skip
    print_table(f"{result['symbols']} names, {result['days']} days, window {window}", columns, rows)
    out().print("  hits: days beyond VaR, found/expected; then p-values: coverage, independence, both")


# details


def _kind(rules: RiskRules, book: str, kind: str) -> str:
    named = rules.books.get(book)
    found = kind or (named.kind if named and named.kind else "strategy")
    if found not in ("desk", "client", "strategy", "house"):
        raise SpecError(f"kind {found!r}", expected="desk, client, strategy or house")
    return found


def _number(value: str, name: str) -> Decimal:
    try:
        number = Decimal(value.replace("_", ""))
    except ArithmeticError:
        raise SpecError(f"{name} is {value!r}", expected="a number") from None
    if not number.is_finite():
        raise SpecError(f"{name} is {value!r}", expected="a finite number")
    return number


def _readable(found: SlotRules, currency: str) -> dict[str, str]:
    """Return rules with units, those that do not limit left out."""
    units = {"order_quantity": "units", "position": "units", "net_position": "units", "order_notional": currency}
    out_: dict[str, str] = {"in_universe": str(found.in_universe)}
    if found.restriction is not None:
        out_["restriction"] = f"{found.restriction.id}, {found.restriction.allows} allowed: {found.restriction.reason}"
    for name, value in found._asdict().items():
        if name in units and value is not None:
            out_[name] = f"{text(value)} {units[name]}"
        elif name.endswith("_ppm") and value is not None:
            out_[name.removesuffix("_ppm") + "_pct"] = f"{value / 10_000:g} %"
        elif name.endswith("_ns") and value is not None:
            out_[name.removesuffix("_ns") + "_s"] = f"{value / 1e9:g} s"
    for level in (found.firm, found.kind, found.book):
        for name, value in level._asdict().items():
            if isinstance(value, int):
                shown = f"{value / 10_000:g} %" if name.endswith("_ppm") else str(value)
                money = name in ("gross", "net", "daily_loss")
                out_[f"{level.name}: {name.removesuffix('_ppm')}"] = f"{text(value)} {currency}" if money else shown
    return out_


def _bypasses(path: Path) -> list[dict[str, Any]]:
    from ufos_nautilus.engine.bypass import find_bypasses

    try:
        source = path.read_text("utf-8")
        return [
            {"where": f"{path}:{b.line}", "what": b.what, "limit": "orders through self.submit_order ...", "value": ""}
            for b in find_bypasses(source, strict=True)
        ]
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise DataError(f"{path} can't be read: {error}", expected="Python source, a folder of it or a plan") from None


def _check_plan(path: Path, rules: RiskRules, book: str, kind: str) -> list[Verdict]:
    try:
        plan = Plan.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"plan {path} can't be read: {error}", expected="a file of `ufos plan`") from None
    whose, bounds = book or plan.portfolio, Limits(rules)
    held = {w.symbol: w.held for w in plan.weights}
    known = [Holding(o.instrument_id, held.get(o.symbol, Decimal(0)), o.price, plan.currency) for o in plan.orders]
    kind_ = _kind(rules, whose, kind or "client")
    firm = firm_of_book(bounds, whose, kind_, plan.nav, known, plan.currency, plan.created_ns)
    orders = [Proposal(whose, o.instrument_id, o.side, o.quantity, o.price) for o in plan.orders]
    return judge(orders, firm, bounds, plan.created_ns)


def _violations(verdicts: list[Verdict], where: str) -> list[dict[str, Any]]:
    return [
        {"where": f"{where}: {v.side} {v.quantity} {v.instrument}", "what": found.code, "limit": found.limit,
         "value": found.value, "book": found.book}
        for v, violations in verdicts
        for found in violations
    ]  # fmt: skip


def _side(side: str) -> Literal["BUY", "SELL"]:
    if side.upper() not in ("BUY", "SELL"):
        raise SpecError(f"--side {side!r}", expected="BUY or SELL")
    return "BUY" if side.upper() == "BUY" else "SELL"


def _kept_seal(path: Path) -> Seal | None:
    """Return how the record must end according to the run's result beside it: a cut tail shows in no hash inside."""
    from ufos_nautilus.engine.risk_audit import RISK_FILE
    from ufos_nautilus.engine.runs import read_result

    if path.name != RISK_FILE or not path.with_name("result.json").is_file():
        return None
    kept = (read_result(path.parent).get("risk") or {}).get("audit") or {}
    return Seal(int(kept["records"]), str(kept["head"])) if kept else None


def _record(name: str) -> Path:
    from ufos_nautilus.engine.risk_audit import RISK_FILE
    from ufos_nautilus.engine.runs import find_run, runs_root

    path = Path(name)
    if path.is_file():
        return path
    found = find_run(runs_root(), name) / RISK_FILE
    if not found.is_file() and _kept_seal(found) is not None:
        raise IntegrityError(f"{found} is gone", expected="the record that the run's result tells of")
    if not found.is_file():
        raise DataError(f"run {name} has no record of a gate", expected="a run whose spec names limits")
    return found
