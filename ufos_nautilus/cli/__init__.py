"""The `ufos` command: a table of contents whose chapters are imported only when opened."""

import difflib
import importlib
import importlib.metadata
import json
import os
import sys

from ufos_nautilus.errors import UfosError

CHAPTERS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("demo", "A first result with no data at all: generate a market, trade it, report."),
    },
    "Data": {
        "data": ("data", "Import, check, list, show and generate market data."),
    },
    "House": {
        "crosses": ("crosses", "Show and verify the best-execution record of a run's crosses."),
        "ledger": ("ledger", "Show, check, export and replay a ledger."),
    },
    "Portfolio": {
        "plan": ("plan", "Make, show and simulate rebalancing plans; nothing there trades."),
        "strategy": ("strategy", "Rule strategies as data: validate one, print the schema, begin a new one."),
        "client": ("client", "Reports of clients and strategies of a run, and their restricted lists."),
    },
    "Risk": {
        "risk": ("risk", "Show limits, check orders and books against them, explain denials, measure risk."),
        "halt": ("halt", "Stop all trading now: cancel every order, deny every new one."),
        "resume": ("resume", "Let trading go on after a halt; asks a person at a terminal."),
        "drill": ("drill", "Rehearse: kill switch, value at risk, stress and limits against a generated market."),
    },
    "Backtest": {
        "backtest": ("backtest", "Run a spec over recorded or generated data."),
        "runs": ("runs", "List, show, compare and replay stored runs."),
        "spec": ("spec", "Check a run spec, or print the JSON Schema of one."),
        "calibrate": ("calibrate", "Estimate a desk's parameters from a market or from a run of its own."),
        "study": ("study", "Rerun published results and print them beside ours."),
        "golden": ("golden", "Compare the golden runs with their stored results, or update them."),
    },
    "Assistants": {
        "mcp": ("mcp", "Serve market data, backtests and studies to an assistant over the Model Context Protocol."),
        "sandbox": ("sandbox", "Run strategies nobody has read in containers that live once, offline."),
        "experiments": ("experiments", "Search what was tried: experiments, runs and insights."),
    },
}
"""Chapter -> command -> (module of this package, one line of help)."""

EXIT_CODES = (
    "exit codes: 0 done, 1 a run failed, 2 bad input, 3 a stored record fails its checksum,\n"
    "            4 a check found defects in data, 130 interrupted"
)

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help", "help"):
        print(contents())
        raise SystemExit(0)
    if args[0] in ("-V", "--version"):
        print(f"ufos {importlib.metadata.version('ufos-nautilus')}")
        raise SystemExit(0)
    raise SystemExit(run(args[0], args[1:]))


def contents() -> str:
    """Return the table of contents."""
    lines = ["Usage: ufos COMMAND [ARGS] [--help] [--json]", ""]
    for chapter, commands in CHAPTERS.items():
        lines.append(chapter)
        lines += [f"  {name:<12} {text}" for name, (_, text) in commands.items()]
        lines.append("")
    lines.append(EXIT_CODES)
    return "\n".join(lines)


def _interrupted() -> int:
    print("interrupted; nothing half-written is kept", file=sys.stderr)
    return INTERRUPTED


def _disk(error: OSError, *, as_json: bool) -> int:
    """Say what the system said about a file or a folder."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    found = UfosError(what, expected="a file or folder that can be read and written, on a disk with room")
    if as_json:
        print(json.dumps(found.as_dict()))
    print(f"error: {found}", file=sys.stderr)
    return found.exit_code


def run(name: str, args: list[str]) -> int:
    """Import one command's module, run it and return the exit code."""
    commands = {k: v for chapter in CHAPTERS.values() for k, v in chapter.items()}
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean `ufos {near[0]}`?" if near else "see `ufos --help`"
        print(f"error: there is no command {name!r}; {hint}", file=sys.stderr)
        return 2
    os.environ.setdefault("_TYPER_STANDARD_TRACEBACK", "1")  # a defect of the product shows plainly
    try:
        module = importlib.import_module(f"ufos_nautilus.cli.{commands[name][0]}")
        module.app(args, prog_name=f"ufos {name}")
    except UfosError as error:
        if "--json" in args:
            print(json.dumps(error.as_dict()))
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError):
            raise
        return _disk(error, as_json="--json" in args)
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as exit_:
        if exit_.code == INTERRUPTED:
            return _interrupted()
        return exit_.code if isinstance(exit_.code, int) else 1
    return 0
