"""`ufos backtest`: run a spec."""

from pathlib import Path
from typing import Annotated

import typer

from ufos_nautilus.cli.control import run_with_control
from ufos_nautilus.cli.summary import add_report, run_with_progress, show
from ufos_nautilus.engine import load_spec
from ufos_nautilus.errors import SpecError

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
    control: Annotated[
        bool, typer.Option("--control", help="Run it again with internalization off and compare the two.")
    ] = False,
) -> None:
    """Run a spec over recorded or generated data and store the run."""
    if control:
        if report is not None:
            raise SpecError("--report names one file and --control makes two runs", expected="one of them")
        run_with_control(load_spec(spec, set_ or []), json=json, report=not no_report)
        return
    result = run_with_progress(load_spec(spec, set_ or []), quiet=json)
    if not no_report:
        add_report(result, report)
    show(result, json=json, next_steps=[f"ufos runs show {result.run_id}", f"ufos runs replay {result.run_id}"])
