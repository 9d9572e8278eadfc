"""`ufos demo`: a first result with no data at all."""

from importlib.resources import as_file, files
from typing import Annotated

import typer

from ufos_nautilus.cli.control import run_with_control
from ufos_nautilus.cli.summary import add_report, run_with_progress, show
from ufos_nautilus.engine import load_spec

app = typer.Typer(add_completion=False)
NEXT_STEPS = [
    "open the report in a browser",
    "ufos demo --control                        the same tickets without the house, side by side",
    "ufos demo --seed 2                         another market",
    "ufos crosses verify last                   check the proof of best execution of every cross",
    "ufos ledger check last                     check that no entry of the ledger was touched",
    "ufos backtest strategies/specs/mm_generated.toml    the desk alone, on an L2 book (in a checkout)",
    "ufos data import --help                    bring your own recordings",
    "ufos runs replay last                      the same run again, compared",
]


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    control: Annotated[
        bool, typer.Option("--control", help="Run it again with internalization off and compare the two.")
    ] = False,
) -> None:
    """Generate a market, let clients, strategies and desks trade it, write a report, say what to try next."""
    with as_file(files("ufos_strategies") / "demo.toml") as path:
        spec = load_spec(path, [f"data.0.synthetic.seed={seed}", f"seed={seed}"])
    if control:
        run_with_control(spec, json=json, report=True)
        return
    result = run_with_progress(spec, quiet=json)
    add_report(result)
    show(result, json=json, next_steps=NEXT_STEPS)
