"""`ufos client`: reports of clients and strategies of a run, and their restricted lists."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.engine.runs import find_run, runs_root
from ufos_nautilus.portfolio import Restrictions
from ufos_nautilus.portfolio.securities import Security
from ufos_nautilus.report.client_page import require_book, write_client_report
from ufos_nautilus.report.clients import book_params, load_factors, performances
from ufos_nautilus.report.parts import amount
from ufos_nautilus.report.tables import RunTables

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Reports of clients and strategies of a run.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Run id, a part of one, a run's folder, or `last`.")]
BookName = Annotated[str, typer.Argument(metavar="BOOK", help="A client or strategy of the run.")]


@app.command("list")
def list_(run: RunName = "last", json: Json = False) -> None:
    """List clients and strategies of a run: value, return, costs, savings."""
    tables = RunTables.load(find_run(runs_root(), run))
    figures = performances(tables, load_factors(tables)[0])
    if json:
        rows = [
            {"book": f.book, "kind": f.kind, "owner": f.owner, "currency": f.currency, "start": f.start, "end": f.end,
             "flows": f.flows, "return": f.total, "per_year": f.yearly, "money_weighted": f.money_weighted,
             "drawdown": f.drawdown.depth, "turnover": f.turnover, "fees": f.fees, "dividends": f.dividends,
             "saved": f.saved, "benchmark": f.benchmark, "statistics": dict(f.statistics)}
            for f in figures.values()
        ]  # fmt: skip
        print_json({"run_id": tables.run_id, "books": rows})
        return
    shown = [
        (f.book, f.owner, amount(f.end), f"{f.total:.2%}", f"{f.drawdown.depth:.2%}", amount(f.fees), amount(f.saved))
        for f in figures.values()
    ]
    print_table(tables.run_id, ("book", "owner", "value", "return", "drawdown", "fees", "saved"), shown)
    out().print(f"  next: ufos client report {tables.run_id} BOOK", highlight=False)


@app.command()
def report(
    run: RunName,
    book: BookName,
    to: Annotated[
        Path | None, typer.Option(help="File to write instead of client-BOOK.html in the run's folder.")
    ] = None,
    standalone: Annotated[bool, typer.Option("--standalone", help="One file that can be sent around alone.")] = False,
    json: Json = False,
) -> None:
    """Write the page of one client or strategy: performance, holdings, restrictions; made for paper too."""
    path = write_client_report(find_run(runs_root(), run), book, to, standalone=standalone)
    if json:
        print_json({"book": book, "report": str(path)})
    else:
        out().print(f"  written: {path}", highlight=False)


@app.command()
def restrictions(run: RunName, book: BookName, json: Json = False) -> None:
    """List what a client excludes, and every name of the run that this means."""
    tables = RunTables.load(find_run(runs_root(), run))
    require_book(tables, book)
    params = book_params(tables, book)
    rules: dict[str, Any] = params.get("restrictions") or {}
    reasons = Restrictions.of(rules).excluded(securities(tables, params.get("tags") or {}))
    if json:
        print_json({"book": book, "rules": rules, "names": reasons})
        return
    print_table(f"{book} never holds", ("name", "why"), sorted(reasons.items()))


def securities(tables: RunTables, tags: dict[str, list[str]]) -> dict[str, Security]:
    """Return the securities of a run as a client's restrictions see them."""
    finer = sub_industries(tables)
    return {
        spec.symbol: Security(
            symbol=spec.symbol,
            instrument_id=name,
            sector=spec.sector,
            sub_industry=finer.get(spec.symbol, ""),
            tags=frozenset(t.casefold() for t in tags.get(spec.symbol, ())),
        )
        for name, spec in tables.instruments.items()
    }


def sub_industries(tables: RunTables) -> dict[str, str]:
    """Return what the catalogs of a run know of sub-industries; those that are gone know nothing."""
    from ufos_nautilus.engine import parse_spec
    from ufos_nautilus.engine.sources import resolve_sources

    sources = resolve_sources(parse_spec(tables.spec, source=f"spec of {tables.run_id}").data)
    return dict(sources.facts.get("sub_industries", {}))
