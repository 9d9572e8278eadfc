"""`ufos drill`: rehearsals of the kill switch, value at risk, stress and limits, each with times."""

import os
import random
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import ProgressLine, out, print_json, print_table
from ufos_nautilus.cli.drill_switch import MODES, TRIGGERS, Row, kill_switch
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.limits import RISK_RETURNS_MAX
from ufos_nautilus.risk.measures import historical, tail_risk
from ufos_nautilus.risk.snapshot import RiskMonitor
from ufos_nautilus.risk.stress import SHOCKS, replay, stress, worst_windows
from ufos_nautilus.risk.student import student_returns, student_sample, student_tail
from ufos_nautilus.risk.var_tests import backtest_var

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Rehearse what must work on a bad day.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the generated market.")]
TARGET_MS = 50.0


@app.command("kill-switch")
def kill_switch_(
    orders: Annotated[int, typer.Option(min=1, help="Orders that rest.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each trigger with each kind of strategy.")] = 5,
    triggers: Annotated[str, typer.Option(help="Of udp, redis, file, cli, loss_window.")] = ",".join(TRIGGERS),
    strategies: Annotated[str, typer.Option(help="Of idle, busy, stuck.")] = ",".join(MODES),
    require: Annotated[
        bool, typer.Option("--require", help="Exit 1 where the 99th percentile is above 50 ms.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="Write the node's hash-chained record to this file.")] = None,
    json: Json = False,
) -> None:
    """Halt a live node with the sandbox execution client, its strategy idle, busy, or never coming back."""
    named, modes = triggers.split(","), strategies.split(",")
    if wrong := [n for n in named if n not in TRIGGERS] + [m for m in modes if m not in MODES]:
        raise SpecError(f"{wrong[0]!r} is no trigger or strategy", expected=", ".join((*TRIGGERS, *MODES)))
    total = rounds * len(named) * len(modes)
    with ProgressLine("kill-switch drill", total, "rounds", quiet=json) as line:
        found = kill_switch(orders, rounds, named, modes, os.environ.get("UFOS_REDIS_URL", ""), line.advance)
    rows: list[Row] = found["rows"]
    if keep is not None:
        keep.write_bytes(found["record_bytes"])
    figures = [_figures(t, m, rows) for t in named for m in modes if any(r[:2] == (t, m) for r in rows)]
    figures.append(_figures("", "", rows))
    worst = figures[-1]["handed_p99_ms"]
    if json:
        print_json({"orders": orders, "rows": figures, "skipped": found["skipped"], "record": found["record"]})
    else:
        columns = ("trigger", "strategy", "rounds", "handed", "p99", "gone", "p99", "ended")
        shown = [
            (f["trigger"] or "all", f["strategy"] or "all", str(f["rounds"]),
             *(f"{f[k]:.1f}" for k in ("handed_p50_ms", "handed_p99_ms", "acknowledged_p50_ms", "acknowledged_p99_ms")),
             str(f["ended"])) for f in figures
        ]  # fmt: skip
        print_table(f"{orders:,} resting orders; milliseconds after the trigger", columns, shown)
        for trigger, why in found["skipped"].items():
            out().print(f"  {trigger} was left out: {why}")
        out().print(
            "  handed: the last cancel reached the execution client; gone: the last order is (median, p99)\n"
            "  ended: callbacks that stood in the way and were ended\n"
            f"  record: {found['record']['records']:,} lines, head {found['record']['head'][:16]}",
            highlight=False,
        )
    if require and worst > TARGET_MS:
        raise RunFailedError(f"the 99th percentile is {worst:.1f} ms", expected=f"at most {TARGET_MS:g} ms")


def _figures(trigger: str, mode: str, rows: list[Row]) -> dict[str, Any]:
    mine = [r for r in rows if trigger in ("", r.trigger) and mode in ("", r.strategy)]
    handed, gone = sorted(r.handed_ms for r in mine), sorted(r.acknowledged_ms for r in mine)
    at = min(int(0.99 * len(mine)), len(mine) - 1)
    return {
        "trigger": trigger, "strategy": mode, "rounds": len(mine), "handed_p50_ms": median(handed),
        "handed_p99_ms": handed[at], "acknowledged_p50_ms": median(gone), "acknowledged_p99_ms": gone[at],
        "ended": sum(r.ended for r in mine),
    }  # fmt: skip


@app.command()
def var(
    days: Annotated[int, typer.Option(min=400, max=100_000, help="Days of the generated market.")] = 2_500,
    window: Annotated[int, typer.Option(min=50, max=5_000)] = 500,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Measure value at risk where it is known exactly: returns of a Student t distribution with 4 degrees."""
    started = time.perf_counter()
    returns = student_returns(days, random.Random(seed))
    tests = backtest_var(returns, window, (0.95, 0.99))
    rows = []
    for (method, level), test in tests.items():
        found, exact = tail_risk(returns, level, method), student_tail(level)
        rows.append(
            {
                "method": method, "level": f"{level:g}", "var": found.var, "exact_var": exact.var, "es": found.es,
                "exact_es": exact.es, "breaches": test.breaches, "expected": test.expected,
                "kupiec_p": test.kupiec_p, "independence_p": test.independence_p,
            }
        )  # fmt: skip
    sample = student_sample(RISK_RETURNS_MAX)
    off = {f"{level:g}": historical(sample, level).es / student_tail(level).es - 1 for level in (0.95, 0.99)}
    shown = [
        (r["method"].replace("_", "-"), f"{float(r['level']):.0%}", f"{r['var']:.2f}/{r['exact_var']:.2f}",
         f"{r['es']:.2f}/{r['exact_es']:.2f}", f"{r['breaches']}/{r['expected']:.0f}", f"{r['kupiec_p']:.3f}",
         f"{r['independence_p']:.3f}")
        for r in rows
    ]  # fmt: skip
    took = time.perf_counter() - started
    if json:
        print_json({"rows": rows, "es_off": off, "elapsed_s": round(took, 3)})
        return
    columns = ("method", "at", "VaR/exact", "ES/exact", "hits", "Kupiec", "Christ.")
    print_table(f"{days:,} days of t with 4 degrees, window {window} ({took:.1f} s)", columns, shown)
    said = ", ".join(f"{share:+.2%} at {float(level):.0%}" for level, share in off.items())
    out().print(f"  historical ES of {len(sample):,} even quantiles against the exact one: {said}", highlight=False)


@app.command("stress")
def stress_(
    names: Annotated[int, typer.Option(min=1, max=5_000, help="Positions.")] = 500,
    days: Annotated[int, typer.Option(min=100, max=10_000, help="Days of history.")] = 1_000,
    books: Annotated[int, typer.Option(min=1, max=100)] = 10,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Shock a generated firm, replay its worst days, and time the snapshot of its risk."""
    rng = random.Random(seed)
    market = [rng.gauss(0.0003, 0.01) for _ in range(days)]
    betas = {f"S{n:03d}": rng.uniform(0.3, 1.7) for n in range(names)}
    history = {name: [b * m + rng.gauss(0, 0.015) for m in market] for name, b in betas.items()}
    volumes = {name: rng.uniform(1e6, 5e7) for name in betas}
    values = {name: rng.gauss(0.3, 1.0) * 100_000 for name in betas}
    monitor = RiskMonitor(history, market, volumes)
    for number, (name, value) in enumerate(values.items()):
        monitor.hold(f"AM-{number % books:02d}", name, value)
    started = time.perf_counter()
    snapshot = monitor.snapshot()
    took_ms = (time.perf_counter() - started) * 1e3
    firm = snapshot[0]
    half_spreads = {name: 0.0005 for name in values}
    shocked = stress(values, SHOCKS, half_spreads=half_spreads, volumes=volumes, var_99=firm.var["historical 0.99"])
    shocked += replay(values, history, worst_windows(monitor.profits(), 5, 3))
    if json:
        plain = [row.as_dict() for row in snapshot]
        print_json({"snapshot_ms": took_ms, "snapshot": plain, "stress": [s._asdict() for s in shocked]})
        return
    shown = [
        (r.book or "firm", r.positions, *(f"{v:,.0f}" for v in (r.gross, r.net, r.var["historical 0.95"],
         r.var["historical 0.99"], r.es["historical 0.99"])), f"{r.days_to_exit:.1f}", f"{r.incremental_var:,.0f}")
        for r in snapshot
    ]  # fmt: skip
    columns = ("book", "positions", "gross", "net", "VaR 95", "VaR 99", "ES 99", "days to exit", "adds to VaR")
    print_table(f"{names} positions, {days:,} days: {took_ms:.1f} ms", columns, shown)
    rows = [(s.name, f"{s.profit:,.0f}", f"{s.exit_cost:,.0f}", f"{s.var_99:,.0f}", f"{s.days_to_exit:.1f}")
            for s in shocked]  # fmt: skip
    print_table("stress", ("scenario", "profit", "cost to leave", "VaR 99 then", "days to exit"), rows)


@app.command()
def limits(json: Json = False) -> None:
    """Break one limit after another in a small market: what was denied, and warn, reduce, hedge, stop, halt."""
    from ufos_nautilus.engine.drill_market import START_NS
    from ufos_nautilus.engine.drill_scripts import SCRIPTS, play_script

    rows: list[dict[str, Any]] = []
    started = time.perf_counter()
    for name in SCRIPTS:
        with TemporaryDirectory() as folder:
            played = play_script(name, Path(folder))
        for record in played.records:
            if record["what"] != "passed":
                told = {k: v for k, v in record.items() if k not in ("what", "ts_ns", "order", "action")}
                second = f"{(record['ts_ns'] - START_NS) / 1e9:.3f}"
                row = {"drill": name, "second": second, "what": record["what"], "more": _short(told), "times": 1}
                if rows and {**rows[-1], "times": 1} == row:
                    rows[-1]["times"] += 1
                else:
                    rows.append(row)
        left = ", ".join(f"{q:f} {n}" for n, q in sorted(played.held.items())) or "nothing"
        rows.append({"drill": name, "second": "end", "what": "held", "more": left, "times": 1})
    _print_rows("limits and what breaking them sets off", rows, started, json=json)


def _short(told: dict[str, Any]) -> str:
    if "violations" in told:
        return "; ".join(f"{v['code']}: {v['value']} where {v['limit']} is allowed" for v in told["violations"])
    return ", ".join(f"{k} {v}" for k, v in told.items() if v not in ("", [], None))


def _print_rows(title: str, rows: list[dict[str, Any]], started: float, *, json: bool) -> None:
    took = time.perf_counter() - started
    if json:
        print_json({"rows": rows, "elapsed_s": round(took, 3)})
        return
    columns = tuple(rows[0])
    shown = [tuple(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()) for row in rows]
    print_table(f"{title} ({took:.1f} s)", columns, shown)
