"""`ufos experiments`: what was tried, what came of it and what was learned."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.engine.runs import runs_root
from ufos_nautilus.errors import BadInputError
from ufos_nautilus.limits import EXPERIMENT_ROWS_MAX
from ufos_nautilus.research.experiments import ExperimentStore

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Search experiments, trials and insights.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Limit = Annotated[int, typer.Option(min=1, max=EXPERIMENT_ROWS_MAX, help="Rows at most.")]
Store = Annotated[Path | None, typer.Option(help="File of the store; runs/_research/experiments.sqlite unless given.")]
SHOWN = 90


@app.command("list")
def list_(limit: Limit = 20, store: Store = None, json: Json = False) -> None:
    """List hypotheses with their number of trials, newest first."""
    with _open(store) as opened:
        rows = opened.experiments(limit)
        total = opened.trials()
    if json:
        print_json({"experiments": rows, "trials": total})
        return
    table = [(r["id"], r["trials"], int(r["winning"]), r["knowledge_cutoff"], _short(r["hypothesis"])) for r in rows]
    print_table(f"{total} trials in all", ("experiment", "trials", "winning", "cutoff", "hypothesis"), table)


@app.command()
def runs(
    experiment: Annotated[str, typer.Argument(help="Its id; empty for all.")] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that lost, idled, broke or were refused.")
    ] = False,
    limit: Limit = 20,
    store: Store = None,
    json: Json = False,
) -> None:
    """List trials, newest first."""
    with _open(store) as opened:
        rows = opened.runs(experiment, failed=failed, limit=limit)
    if json:
        print_json({"runs": rows})
        return
    table = [(r["run_id"] or "-", r["strategy"], r["verdict"], _pnl(r["metrics"]), _short(r["error"])) for r in rows]
    print_table("Trials", ("run", "strategy", "verdict", "net P&L", "error"), table)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words; empty for the newest.")] = "",
    kind: Annotated[list[str] | None, typer.Option(help="insight, experiment, run or strategy (repeatable).")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what did not work.")] = False,
    limit: Limit = 20,
    store: Store = None,
    json: Json = False,
) -> None:
    """Search everything by words."""
    with _open(store) as opened:
        rows = opened.search(query, kinds=kind or (), failed=failed, limit=limit)
    if json:
        print_json({"found": rows})
        return
    print_table(f"{len(rows)} found", ("what", "id", "text"), [(r["found"], _id(r), _short(_text(r))) for r in rows])


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help="pattern, success, failure, hypothesis or technique.")],
    text: Annotated[str, typer.Argument(help="What was learned.")],
    tag: Annotated[list[str] | None, typer.Option(help="Tag (repeatable).")] = None,
    importance: Annotated[int, typer.Option(min=1, max=5)] = 3,
    run: Annotated[list[str] | None, typer.Option(help="Run that shows it (repeatable).")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Save an insight."""
    user = os.environ.get("USER", "")
    with _open(store, make=True) as opened:
        row = opened.add_insight(kind, text, tags=tag or (), importance=importance, runs=run or (), user=user)
    if json:
        print_json(row)
    else:
        out().print(f"insight {row['id']} saved")


@app.command()
def tools(store: Store = None, json: Json = False) -> None:
    """Show how often each tool of the MCP server was called, and how long it took."""
    with _open(store) as opened:
        rows = opened.tool_figures()
    if json:
        print_json({"tools": rows})
        return
    table = [(r["tool"], r["calls"], int(r["errors"]), f"{r['mean_ms']:.1f}", f"{r['slowest_ms']:.1f}") for r in rows]
    print_table("Calls", ("tool", "calls", "errors", "mean ms", "slowest ms"), table)


def _open(path: Path | None, *, make: bool = False) -> ExperimentStore:
    found = path or runs_root() / "_research" / "experiments.sqlite"
    if not make and not found.is_file():
        raise BadInputError(
            f"there is no experiment store at {found}",
            expected="a store",
            next_step="the MCP server makes one, or `ufos experiments add`",
        )
    return ExperimentStore(found)


def _id(row: dict[str, Any]) -> str:
    if row["found"] == "strategy":
        return f"{row['name']}@{row['version']}"
    return str(row.get("run_id") or row["id"])


def _text(row: dict[str, Any]) -> str:
    match row["found"]:
        case "insight":
            return f"{row['kind']}: {row['text']}"
        case "experiment":
            return row["hypothesis"]
        case "run":
            return f"{row['strategy']}: {row['verdict']} {_pnl(row['metrics'])} {row['error']}"
        case _:
            return row["digest"]


def _pnl(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{amount} {code}" for code, amount in (metrics.get("net_pnl") or {}).items())


def _short(text: str) -> str:
    flat = " ".join(text.split())
    # Somebody else may have written it, so nothing of it is markup of the terminal.
    return (flat if len(flat) <= SHOWN else f"{flat[: SHOWN - 1]}…").replace("[", "(").replace("]", ")")
