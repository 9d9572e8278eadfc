"""A spec with its house and without, run one after the other and shown side by side."""

import os
from decimal import Decimal
from typing import Any

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.summary import add_report, as_json, run_with_progress
from ufos_nautilus.engine import RunResult, RunSpec
from ufos_nautilus.errors import SpecError

SUFFIX = "-control"


def control_of(spec: RunSpec) -> RunSpec:
    """Return the spec with crossing off, everything else the same.

    Raises
    ------
    SpecError
        If the spec crosses nothing anyway, or both runs would write the same ledger.

    """
    if spec.crossing is None or not spec.crossing.enabled:
        raise SpecError(
            f"{spec.name} has no house to switch off",
            expected="a [crossing] part",
            next_step="run it without --control",
        )
    if os.environ.get("UFOS_LEDGER_URL"):
        raise SpecError(
            "a run and its control need a ledger each, UFOS_LEDGER_URL names one",
            expected="the runs' own files",
            next_step="unset UFOS_LEDGER_URL",
        )
    crossing = spec.crossing.model_copy(update={"enabled": False})
    return spec.model_copy(update={"name": spec.name[: 64 - len(SUFFIX)] + SUFFIX, "crossing": crossing})


def run_with_control(spec: RunSpec, *, json: bool, report: bool) -> None:
    """Run a spec and its control, print both and what internalizing was worth."""
    from ufos_nautilus.report import RunTables
    from ufos_nautilus.report.control import compare_control

    runs: list[RunResult] = []
    for each in (spec, control_of(spec)):
        runs.append(run_with_progress(each, quiet=json))
        if report:
            add_report(runs[-1])
    house, control = runs
    compared = compare_control(RunTables.load(house.directory), RunTables.load(control.directory))
    if json:
        print_json({"house": as_json(house), "control": as_json(control), "compared": compared})
    else:
        _show(house, control, compared)


def _show(house: RunResult, control: RunResult, compared: dict[str, Any]) -> None:
    rows = [(key, house[key], control[key]) for key in ("run_id", "orders", "fills", "denied", "rejected", "elapsed_s")]
    crosses = house["crosses"]
    rows += [(f"tickets {r}: quantity", crosses[f"{r}_quantity"], "") for r in ("cross", "desk", "market")]
    rows += [("report", house.summary.get("report"), control.summary.get("report"))]
    print_table(house["name"], ("figure", "with the house", "control"), [_texts(row) for row in rows])
    money = ("cost", "control_cost", "saved")
    owners = [
        (
            r["owner"],
            r["tickets"],
            f"{_money(r['value'])} {r['currency']}",
            *(_cents(r[name]) for name in money),
            *(_bps(r[name]) for name in ("cost_bps", "control_cost_bps")),
        )
        for r in compared["owners"]
    ]
    columns = ("owner", "tickets", "value", "cost", "control", "saved", "bps", "control bps")
    print_table("what tickets cost against the midpoint on arrival", columns, owners)
    money = ("profit", "control_profit", "gained")
    books = [(r["book"], r["kind"], r["currency"], *(_cents(r[name]) for name in money)) for r in compared["books"]]
    print_table("profit of each book", ("book", "kind", "currency", "with the house", "control", "gained"), books)
    for currency, sums in compared["totals"].items():
        out().print(
            f"  {currency}: the house saved its owners {_money(sums.get('saved'))}; "
            f"all books together gained {_money(sums.get('gained'))}",
            highlight=False,
        )
    if not compared["same_tickets"]:
        out().print("  the two runs had different tickets, so owners are compared by their sums alone")


def _texts(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple("" if v is None else f"{v:,}" if isinstance(v, int) else str(v) for v in row)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def _money(value: Decimal | None) -> str:
    return "n/a" if value is None else f"{value:,.2f}"


def _bps(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
