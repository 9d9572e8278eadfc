"""`ufos backtest`: run a spec."""

from pathlib import Path
from typing import Annotated

import typer

from ufos_nautilus.cli.summary import add_report, run_with_progress, show
from ufos_nautilus.engine import load_spec

app = typer.Typer(add_completion=False)


@app.command()
def backtest(
    spec: Annotated[Path, typer.Argument(help="Run spec (TOML); see `ufos spec schema`.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override one value, for example --set seed=7 (repeatable).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here instead of the run's folder.")] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
) -> None:
    """Run a spec over recorded or generated data and store the run."""
    result = run_with_progress(load_spec(spec, set_ or []), quiet=json)
    if not no_report:
        add_report(result, report)
    show(result, json=json, next_steps=[f"ufos runs show {result.run_id}", f"ufos runs replay {result.run_id}"])
