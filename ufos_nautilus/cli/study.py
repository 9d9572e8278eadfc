"""`ufos study`: rerun published results and print them beside ours."""

import time
from typing import Annotated

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
