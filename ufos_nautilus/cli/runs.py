"""`ufos runs`: list, show, compare and replay stored runs."""

import json as json_module
from typing import Annotated

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.summary import add_report, as_json, run_with_progress, show
from ufos_nautilus.engine import RunResult, parse_spec
from ufos_nautilus.engine.runs import find_run, list_runs, read_result, runs_root
from ufos_nautilus.errors import IntegrityError, RunFailedError
from ufos_nautilus.report import compare_runs

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List, show, compare and replay stored runs.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
RunName = Annotated[str, typer.Argument(help="Run id, a part of one, a run's folder, or `last`.")]
RUNS_LISTED_MAX = 1_000


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, max=RUNS_LISTED_MAX)] = 20, json: Json = False) -> None:
    """List stored runs, newest first."""
    results, broken = [], {}
    for path in list_runs(runs_root())[:limit]:
        try:
            results.append(read_result(path))
        except IntegrityError as error:
            broken[path.name] = error.problem
    if json:
        keys = ("run_id", "name", "fills", "net_pnl", "digest")
        print_json({"broken": broken, "runs": [{k: r.get(k) for k in keys} for r in results]})
        return
    rows = [
        (r["run_id"], r["started_at"], r["orders"], r["fills"], _pnl(r["net_pnl"]), r["digest"][:12]) for r in results
    ]
    print_table(f"runs in {runs_root()}", ("run", "started", "orders", "fills", "net P&L", "digest"), rows)
    for problem in broken.values():
        out().print(f"  [red]broken[/]: {problem}", highlight=False)


@app.command("show")
def show_(run: RunName, json: Json = False) -> None:
    """Show one run."""
    result = RunResult.load(find_run(runs_root(), run))
    if json:
        print_json(result.summary)
    else:
        show(result, json=False)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more runs; the first is the base.")], json: Json = False
) -> None:
    """Put runs side by side."""
    found = [find_run(runs_root(), r) for r in runs]
    rows = compare_runs(found)
    if json:
        print_json({"runs": [p.name for p in found], "rows": rows})
        return
    columns = list(rows[0]) if rows else []
    print_table("runs compared", columns, [tuple(r[c] for c in columns) for r in rows])


@app.command()
def replay(run: RunName, json: Json = False) -> None:
    """Run a stored spec again and compare the digests; exit code 1 where they differ."""
    old = RunResult.load(find_run(runs_root(), run))
    spec = parse_spec(
        json_module.loads((old.directory / "spec.json").read_text("utf-8")), source=f"spec of {old.run_id}"
    )
    before = dict(old.summary)
    result = run_with_progress(spec, quiet=json)
    add_report(result)
    same = result.digest == before["digest"]
    if json:
        print_json({**as_json(result), "replayed": before["run_id"], "same": same})
    elif same:
        out().print(f"{result.run_id}: same digest {result.digest[:16]}")
    if not same:
        code = f"{before['code_version']} then, {result['code_version']} now"
        raise RunFailedError(
            f"the digest of {before['run_id']} was {before['digest'][:16]} and is {result.digest[:16]}",
            expected="equal digests",
            next_step=f"compare code versions ({code}) and data",
        )


def _pnl(values: dict[str, str]) -> str:
    return ", ".join(f"{v} {code}" for code, v in values.items())
