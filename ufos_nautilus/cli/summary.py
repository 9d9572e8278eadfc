"""How a run is shown: one JSON object, or a table with what to do next."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from ufos_nautilus.cli.console import ProgressLine, out, print_json, print_table
from ufos_nautilus.engine import RunResult, RunSpec, run_backtest
from ufos_nautilus.engine.runs import runs_root, write_result

INVENTORIES_SHOWN = 10
"""Names whose largest inventory is printed; the stored result has all."""


def run_with_progress(spec: RunSpec, *, quiet: bool) -> RunResult:
    """Run a spec with progress on standard error."""
    with ProgressLine(spec.name, 0, "rows", quiet=quiet) as line:

        def progress(rows: int, total: int) -> None:
            line.set_total(total)
            line.advance(rows)

        return run_backtest(spec, root=runs_root(), progress=progress)


def add_report(result: RunResult, destination: Path | None = None) -> Path:
    """Write the report of a run and note it in the stored result."""
    from ufos_nautilus.report import write_report  # imported where a report is wanted

    path = write_report(result.directory, destination)
    result.summary["report"] = str(path)
    write_result(result.directory, result.summary)
    return path


def as_json(result: RunResult) -> dict[str, Any]:
    """Return the summary of a run for `--json`: `net_pnl` is a number where there is one currency."""
    s = result.summary
    keys = ("run_id", "name", "seed", "orders", "fills", "denied", "rejected", "rows", "events")
    house: dict[str, Any] = {}
    if "ledger" in s:
        house["books"] = [{"id": b, **figures} for b, figures in s["ledger"]["books"].items()]
        house["ledger"] = {k: s["ledger"][k] for k in ("balanced", "reconciled", "entries", "head")}
    if "crosses" in s:
        c = s["crosses"]
        house["crosses"] = {"count": c["crosses"], "quantity": c["cross_quantity"], "saved": _single(c["saved"])}
        house["routes"] = {k: c[f"{k}_quantity"] for k in ("cross", "desk", "market")}
        house["tickets"] = s["tickets"]
    return {
        **{k: s[k] for k in keys},
        **house,
        "net_pnl": _single(s["net_pnl"]),
        "max_inventory": _single(s["max_inventory"]),
        "final_balances": s["final_balances"],
        "digest": s["digest"],
        "elapsed_s": s["elapsed_s"],
        "report": s.get("report"),
        "status": s["status"],
    }


def _single(values: dict[str, str]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else (values or "0")


def _show_house(s: dict[str, Any]) -> None:
    books = [
        (book, code, f["capital"].get(code, "0"), nav, f["pnl"].get(code, {}).get("total", "0"))
        for book, f in s["ledger"]["books"].items()
        for code, nav in f["nav"].items()
    ]
    print_table("books", ("book", "currency", "capital", "net asset value", "P&L"), books)
    c = s["crosses"]
    saved = ", ".join(f"{v} {code}" for code, v in c["saved"].items()) or "nothing"
    rows = [
        ("crossed at the midpoint", c["crosses"], c["cross_quantity"]),
        ("taken by the desk", c["desk"], c["desk_quantity"]),
        ("worked on the market", c["market"], c["market_quantity"]),
        ("of all, left unfilled", "", s["tickets"]["unfilled"]),
    ]
    print_table("where tickets went", ("route", "pieces", "quantity"), rows)
    ledger = s["ledger"]
    state = "balanced and reconciled with the engine" if ledger["balanced"] and ledger["reconciled"] else "NOT SOUND"
    out().print(f"  crosses saved {saved} against the touch; ledger: {ledger['entries']} entries, {state}\n")


def show(result: RunResult, *, json: bool, next_steps: list[str] | None = None) -> None:
    """Print a run as JSON or as a table."""
    if json:
        print_json(as_json(result))
        return
    s = result.summary
    rows = [
        ("run", s["run_id"]),
        ("market data rows", f"{s['rows']:,}"),
        ("orders / fills", f"{s['orders']:,} / {s['fills']:,}"),
        ("denied / rejected", f"{s['denied']:,} / {s['rejected']:,}"),
        *((f"net P&L {code}", f"{Decimal(v):,}") for code, v in s["net_pnl"].items()),
        *((f"largest inventory {name}", v) for name, v in list(s["max_inventory"].items())[:INVENTORIES_SHOWN]),
        *([("of other names", "in result.json")] if len(s["max_inventory"]) > INVENTORIES_SHOWN else []),
        ("digest", s["digest"][:16]),
        ("seconds", s["elapsed_s"]),
    ]
    if s.get("report"):
        rows.append(("report", s["report"]))
    print_table(s["name"], ("figure", "value"), rows)
    if "crosses" in s:
        _show_house(s)
    for step in next_steps or []:
        out().print(f"  next: {step}", highlight=False)
