"""`ufos ledger`: show, check, export and replay a stored ledger."""

import json as json_module
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.errors import DataError, IntegrityError, SpecError
from ufos_nautilus.ledger.export import export as export_ledger
from ufos_nautilus.ledger.journal import Head
from ufos_nautilus.ledger.sqlite import LEDGER_FILE
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check as check_ledger
from ufos_nautilus.ledger.store_check import replay as replay_ledger
from ufos_nautilus.ledger.views import (
    Inventory,
    capital,
    cash_by_venue,
    inventory,
    nav,
    positions_by_venue,
    results,
    trial_balance,
)
from ufos_nautilus.limits import RUN_JSON_BYTES_MAX

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Source = Annotated[
    str, typer.Argument(metavar="LEDGER", help="A database URL, a file, a run's folder, a run id, or `last`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def ledger() -> None:
    """Show, check, export and replay a stored ledger."""


@app.command()
def show(
    source: Source,
    book: Annotated[str | None, typer.Option(help="Only this book.")] = None,
    price: Annotated[
        list[str] | None, typer.Option("--price", help="Value an item at a price, ITEM=PRICE (repeatable).")
    ] = None,
    json: Json = False,
) -> None:
    """Show books: capital, cash, positions at average cost, results, and net asset value where prices are given."""
    prices = _prices(price or [])
    with _open(source) as store:
        state = store.state()
        portfolios = [{**_plain(row), "risk_profile": _plain(row.risk_profile)} for row in store.portfolios()]
        strategies = [_plain(row) for row in store.strategies()]
        head = store.head
    books = state.books() if book is None else [book]
    if book is not None and book not in state.books():
        raise DataError(f"there is no book {book!r} in this ledger", expected=f"one of {', '.join(state.books())}")
    shown = [_book(state, name, prices) for name in books]
    if json:
        print_json(
            {
                "ledger": source,
                "head": _head(head),
                "balanced": not any(trial_balance(state).values()),
                "books": shown,
                "cash_by_venue": [
                    {"venue": venue, "asset": asset, "amount": amount}
                    for (venue, asset), amount in cash_by_venue(state).items()
                ],
                "positions_by_venue": [
                    {"book": name, "instrument_id": instrument, "quantity": quantity}
                    for (name, instrument), quantity in positions_by_venue(state).items()
                ],
                "portfolios": portfolios,
                "strategies": strategies,
            }
        )
        return
    _print_books(shown)
    out().print(f"{head.seq:,} entries, {head.postings:,} postings; head {head.seq}:{head.hash.hex()}", soft_wrap=True)


@app.command()
def check(
    source: Source,
    head: Annotated[
        str | None, typer.Option("--head", help="A head noted before, NUMBER:HASH; the chain must contain it.")
    ] = None,
    json: Json = False,
) -> None:
    """Read every entry and prove that nothing was changed, removed or reordered; exit code 3 where something was.

    The ledger of a run must also contain the head that the run's result kept.
    """
    expected = kept_head(source) if head is None else _parse_head(head)
    if head is None and expected is not None:
        _require_file(Path(_find(source)) / LEDGER_FILE)
    with _open(source, verify=False) as store:
        report = check_ledger(store, expected)
    if json:
        print_json(
            {
                "ledger": source,
                "sound": not report.problems,
                "entries": report.entries,
                "postings": report.postings,
                "head": f"{report.entries}:{report.head}",
                "problems": list(report.problems),
            }
        )
    report.require_sound()
    if not json:
        out().print(
            f"sound: {report.entries:,} entries, {report.postings:,} postings; head {report.entries}:{report.head}",
            soft_wrap=True,
        )


@app.command()
def export(
    source: Source,
    to: Annotated[Path, typer.Option("--out", help="New folder for the Parquet files.")],
    json: Json = False,
) -> None:
    """Write entries, postings, balances, portfolios and strategies as Parquet."""
    with _open(source) as store:
        rows = export_ledger(store, to)
    if json:
        print_json({"ledger": source, "folder": str(to), "rows": rows})
    else:
        out().print(f"{to}: " + ", ".join(f"{count:,} {name}" for name, count in rows.items()))


@app.command()
def replay(source: Source, json: Json = False) -> None:
    """Make all balances anew from the entries and compare them with the database's views; exit code 3 if unequal."""
    with _open(source) as store:
        report = replay_ledger(store)
    if json:
        print_json({"ledger": source, "same": not report.differences, **_plain(report)})
    if report.differences:
        raise IntegrityError(
            "the views do not say what the entries say:\n" + "\n".join(f"  {d}" for d in report.differences[:10]),
            expected="equal balances and positions",
            next_step="`ufos ledger check` finds rows that were changed",
        )
    if not json:
        out().print(
            f"same: {report.entries:,} entries give the {report.accounts:,} balances and "
            f"{report.positions:,} positions that the views give"
        )


def _find(source: str) -> str | Path:
    if "://" in source or Path(source).exists():
        return source
    from ufos_nautilus.engine.runs import find_run, runs_root

    return find_run(runs_root(), source)


def _open(source: str, *, verify: bool = True) -> LedgerStore:
    return LedgerStore.open(_find(source), create=False, readonly=True, verify=verify)


def kept_head(source: str) -> Head | None:
    """Return where a run's ledger must end according to the run's result; None where `source` is no run's folder.

    Without it a tail that was cut off, or a ledger that was written anew as a whole, would look sound.
    """
    found = _find(source)
    result = Path(found) / "result.json"
    if "://" in str(found) or not result.is_file():
        return None
    try:
        if result.stat().st_size > RUN_JSON_BYTES_MAX:
            raise ValueError("too large")
        kept = json_module.loads(result.read_text("utf-8"))["ledger"]
        return Head(int(kept["entries"]), bytes.fromhex(kept["head"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{result} says nothing of its ledger: {error!r}", expected="a run's result") from None


def _require_file(path: Path) -> None:
    """Raise where a run that kept the head of its ledger has no ledger beside it, unless a server keeps it."""
    if not path.is_file() and not os.environ.get("UFOS_LEDGER_URL"):
        raise IntegrityError(f"{path} is gone", expected="the ledger that the run's result tells of")


def _prices(texts: list[str]) -> dict[str, Decimal]:
    prices: dict[str, Decimal] = {}
    for text in texts:
        item, _, number = text.rpartition("=")
        try:
            value = Decimal(number)
        except InvalidOperation:
            value = Decimal("NaN")
        if not item or not value.is_finite():
            raise SpecError(f"--price {text!r} is no price", expected="ITEM=PRICE, for example AAPL=190.14")
        prices[item] = value
    return prices


def _parse_head(text: str) -> Head:
    number, _, digest = text.partition(":")
    try:
        return Head(int(number), bytes.fromhex(digest))
    except ValueError as error:
        raise SpecError(
            f"--head {text!r} is no head", expected="NUMBER:HASH as `ufos ledger check` prints it"
        ) from error


def _head(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash.hex(), "postings": head.postings}


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _book(state: LedgerState, name: str, prices: dict[str, Decimal]) -> dict[str, Any]:
    """Return what is known of one book; net asset value and results only where every open position has a price."""
    rows = inventory(state, prices, name)
    priced = all(row.price is not None for row in rows if row.net_position)
    return {
        "book": name,
        "capital": capital(state, name),
        "nav": nav(state, name, prices) if priced else None,
        "results": [{**_plain(r), "total": r.total} for r in results(state, name, prices)] if priced else None,
        "inventory": [_plain(row) for row in rows],
        "cash": [
            {"venue": account.venue, "currency": account.asset, "amount": state.amount(account)}
            for account, _ in state.accounts("cash", book=name)
        ],
    }


def _print_books(shown: list[dict[str, Any]]) -> None:
    cash = [(b["book"], row["venue"] or "(house)", row["amount"], row["currency"]) for b in shown for row in b["cash"]]
    print_table("cash", ("book", "venue", "amount", "currency"), cash)
    fields = [name for name in Inventory.__dataclass_fields__ if name != "cost"]
    rows = [tuple(_short(row[f]) for f in fields) for b in shown for row in b["inventory"]]
    print_table("inventory", [f.replace("_", " ") for f in fields], rows)
    totals = [
        (b["book"], r["currency"], r["realised"], r["unrealised"], -r["fees"], r["total"], b["nav"].get(r["currency"]))
        for b in shown
        for r in b["results"] or ()
    ]
    if totals:
        print_table("results", ("book", "currency", "realised", "unrealised", "costs", "total", "NAV"), totals)
    if any(b["results"] is None for b in shown):
        out().print("give --price ITEM=PRICE for the open positions to see results and net asset value")


def _short(value: Any) -> Any:
    return round(value, 8).normalize() if isinstance(value, Decimal) else value
