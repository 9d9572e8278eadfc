"""`ufos study`: rerun published results and print them beside ours."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Rerun published results and print them beside ours."
)

Paths = Annotated[int, typer.Option(help="Simulated sessions per row.")]
Seed = Annotated[int, typer.Option(help="Seed of the simulations.")]
PRINTED = ("spread", "profit", "profit_std", "inventory_std")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("avellaneda-stoikov")
def avellaneda_stoikov(paths: Paths = 20_000, seed: Seed = 1, json: Json = False) -> None:
    """Rerun the tables of Avellaneda and Stoikov (Quantitative Finance 8(3), 2008)."""
    from ufos_nautilus.research.study_avellaneda_stoikov import PAPER_PATHS, run_study

    started = time.perf_counter()
    rows = run_study(paths, seed)
    elapsed = time.perf_counter() - started
    if json:
        print_json({"study": "avellaneda-stoikov", "paths": paths, "seed": seed, "rows": rows, "elapsed_s": elapsed})
        return
    table = [
        (
            f"{row['gamma']:g}",
            row["strategy"],
            *(f"{row['paper'][name]:.2f} {row['ours'][name]:.2f}" for name in PRINTED),
        )
        for row in rows
    ]
    columns = ("gamma", "strategy", "spread", "profit", "std(profit)", "std(final q)")
    print_table("Avellaneda and Stoikov 2008: published figure, then ours", columns, table)
    furthest = max(abs(row["profit_z"]) for row in rows)
    out().print(f"{paths:,} paths per row, seed {seed}, {elapsed:.1f} s.")
    out().print(f"No published profit is more than {furthest:.1f} standard errors of its {PAPER_PATHS:,} paths away.")


@app.command()
def glft(paths: Paths = 20_000, seed: Seed = 1, json: Json = False) -> None:
    """Compare quoters by certainty equivalent with the theory of Gueant, Lehalle and Fernandez-Tapia (2013)."""
    from ufos_nautilus.research.study_glft import BOUND_LOTS, run_study

    started = time.perf_counter()
    rows = run_study(paths, seed)
    elapsed = time.perf_counter() - started
    if json:
        print_json({"study": "glft", "paths": paths, "seed": seed, "rows": rows, "elapsed_s": elapsed})
        return
    table = [
        (
            f"{row['gamma']:g}",
            row["quoter"],
            f"{row['theory']:.2f}",
            f"{row['ce']:.2f}",
            f"{row['ce_simulated']:.2f} ± {row['ce_error']:.2f}",
            f"{row['mean']:.2f} ± {row['std']:.2f}",
        )
        for row in rows
    ]
    columns = ("gamma", "quoter", "theory", "ours", "simulated", "profit ± std")
    print_table("Certainty equivalents: the optimum ln v0(0)/k, then ours", columns, table)
    out().print(
        f"{paths:,} paths per figure, seed {seed}, {elapsed:.1f} s; every quoter is bound to {BOUND_LOTS} lots."
    )


QUOTER_COLUMNS = ("net P&L", "P&L / volume, bps", "std(inventory), orders", "drawdown", "markout 1 s, bps", "fills")
Catalogs = Annotated[list[Path], typer.Option("--catalog", help="Catalog directory (repeatable).")]


@app.command()
def quoters(
    catalog: Catalogs,
    instrument: Annotated[str, typer.Option(help="Instrument id; every one with trades unless given.")] = "",
    tier: Annotated[str, typer.Option(help="Fees: regular or maker (see honest.toml).")] = "regular",
    session: Annotated[str, typer.Option(help="Sessions, e.g. 09:30-16:00@America/New_York.")] = "",
    bound: Annotated[int, typer.Option(help="Inventory bound, orders.")] = 10,
    horizon_s: Annotated[float, typer.Option(help="Horizon of the models that have one, seconds.")] = 60.0,
    order_size: Annotated[str, typer.Option(help="Order size; the median market order unless given.")] = "",
    json: Json = False,
) -> None:
    """Compare quoters on recordings: calibrated on one part of the data, judged on the next, honest assumptions."""
    from decimal import Decimal

    from ufos_nautilus.errors import DataError
    from ufos_strategies.comparison import VARIANTS, prepare, run_variant, spans_text
    from ufos_strategies.parts import session_of, what_to_compare

    found, several = [], len(catalog) > 1
    for path, name in what_to_compare(catalog, instrument):
        started = time.perf_counter()
        try:
            setting = prepare(
                path,
                name,
                tier=tier,
                session=session_of(path, name, session),
                bound_orders=bound,
                horizon_s=horizon_s,
                size=Decimal(order_size) if order_size else None,
            )
        except DataError as error:
            if not several:
                raise
            found.append({"catalog": str(path), "instrument": name, "skipped": error.problem})
            if not json:
                out().print(f"{name} in {path}: {error.problem}; left out.\n")
            continue
        rows = [run_variant(setting, variant) for variant in VARIANTS]
        found.append(
            {
                "catalog": str(path),
                "instrument": name,
                "currency": setting.spec.settlement,
                "spans": spans_text(setting),
                "parameters": setting.calibration.parameters,
                "errors": setting.calibration.errors,
                "rows": rows,
                "elapsed_s": time.perf_counter() - started,
            }
        )
        if not json:
            _print_quoters(found[-1])
    if json:
        print_json({"study": "quoters", "tier": tier, "recordings": found})


def _print_quoters(one: dict[str, Any]) -> None:
    table = [
        (
            row["variant"],
            f"{row['net']:+.6g}",
            "n/a" if row["per_volume_bps"] is None else f"{row['per_volume_bps']:+.3f}",
            f"{row['inventory_std']:.2f}",
            f"{row['drawdown']:.6g}",
            "n/a" if row["markout_1s_bps"] is None else f"{row['markout_1s_bps']:+.3f}",
            row["fills"],
        )
        for row in one["rows"]
    ]
    title = f"{one['instrument']}, {one['spans']}, money in {one['currency']}"
    print_table(title, ("quoter", *QUOTER_COLUMNS), table)
    errors = one["errors"]
    said = ", ".join(f"{k} {v:.4g} ± {errors[k]:.2g}" for k, v in one["parameters"].items() if k in errors)
    out().print(f"Calibrated: {said}. {one['elapsed_s']:.1f} s.\n", soft_wrap=True)


@app.command()
def microprice(
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog directory.")],
    instrument: Annotated[str, typer.Option(help="Instrument id; needed where there are several.")] = "",
    session: Annotated[str, typer.Option(help="Sessions, e.g. 09:30-16:00@America/New_York.")] = "",
    ahead: Annotated[int, typer.Option(help="Events ahead at which fair values are judged.")] = 1_000,
    imbalances: Annotated[int, typer.Option(help="Buckets of imbalance.")] = 10,
    spreads: Annotated[int, typer.Option(help="Spreads told apart.")] = 2,
    json: Json = False,
) -> None:
    """Judge fair values (mid, weighted mid, micro-price, order flow) on the part after the one they were fitted on."""
    from ufos_strategies.fair_values import ablation
    from ufos_strategies.parts import session_of, what_to_compare

    started = time.perf_counter()
    path, name = what_to_compare([catalog], instrument)[0]
    result = ablation(path, name, session_of(path, name, session), ahead=ahead, imbalances=imbalances, spreads=spreads)
    elapsed = time.perf_counter() - started
    if json:
        print_json({"study": "microprice", "instrument": name, "ahead": ahead, **result, "elapsed_s": elapsed})
        return
    rows = [
        (row["judged"], row["fair_value"], *(f"{row[n]:.4f}" for n in ("rmse_ticks", "r2", "bias_low_ticks")))
        for row in result["rows"]
    ]
    title = f"{name}: the mid {ahead:,} events ahead, fitted on the part before"
    print_table(title, ("judged on", "fair value", "RMSE, ticks", "R2", "bias where few bid, ticks"), rows)
    for fit in result["fits"]:
        adjustments = " ".join(f"{x:+.3f}" for x in fit["adjustments_ticks"][0])
        out().print(f"G* at one tick, fitted on {fit['fitted']}: {adjustments} ticks", soft_wrap=True)
    out().print(f"{elapsed:.1f} s.")
