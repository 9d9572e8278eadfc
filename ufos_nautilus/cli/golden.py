"""`ufos golden`: compare the golden runs with their stored results, or update them."""

from pathlib import Path
from typing import Annotated

import typer

from ufos_nautilus.cli.console import print_json, print_table
from ufos_nautilus.engine.golden import check_golden, golden_specs
from ufos_nautilus.errors import RunFailedError

app = typer.Typer(add_completion=False)


@app.command()
def golden(
    directory: Annotated[Path, typer.Option("--dir", help="Where NAME.toml and NAME.json lie.")] = Path("tests/golden"),
    update: Annotated[bool, typer.Option("--update", help="Store what the runs give now.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run every golden spec and print what differs; exit code 1 where anything does."""
    results = [check_golden(path, update=update) for path in golden_specs(directory)]
    differing = [r for r in results if r.differences]
    if json:
        print_json({"runs": [{"name": r.name, "status": r.status, "differences": r.differences} for r in results]})
    else:
        print_table("golden runs", ("run", "status", "why"), [(r.name, r.status, r.skipped) for r in results])
        for r in differing:
            print_table(f"{r.name}: what differs", ("figure", "stored", "now"), r.differences)
    if differing and not update:
        raise RunFailedError(
            f"{len(differing)} of {len(results)} golden runs differ",
            expected="the stored results",
            next_step="if the change is meant: ufos golden --update, and say why in the commit",
        )
