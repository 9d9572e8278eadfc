"""`ufos crosses`: verify and show the best-execution record of a run, and print the worked example."""

import json as json_module
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.crosses_example import booked as book_example
from ufos_nautilus.crossing.best_execution import CROSSES_FILE, crosses_frame, export_parquet, read_crosses, verify
from ufos_nautilus.crossing.chain import Seal
from ufos_nautilus.crossing.example import worked_example
from ufos_nautilus.crossing.market_check import catalog_quotes, verify_against_market
from ufos_nautilus.crossing.savings import savings
from ufos_nautilus.errors import DataError, IntegrityError, SpecError
from ufos_nautilus.limits import RUN_JSON_BYTES_MAX

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Verify and show crosses inside the house.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Source = Annotated[str, typer.Argument(help="A record's file, a run's folder, a run id or a part of one, or `last`.")]
Unsealed = Annotated[bool, typer.Option("--unsealed", help="Accept what a crashed run left, a record without its end.")]
CROSSES_SHOWN_MAX = 1_000


@app.command("verify")
def verify_(
    source: Source,
    catalog: Annotated[Path | None, typer.Option(help="Check each price against the quotes of this catalog.")] = None,
    unsealed: Unsealed = False,
    json: Json = False,
) -> None:
    """Check that a record is what was written; exit code 3 where it was edited, cut or reordered."""
    path = find_record(source)
    report = verify(path, need_seal=not unsealed, expect=kept_seal(path))
    found: dict[str, Any] = {
        "path": str(path),
        "run_id": report.run_id,
        "crosses": report.records,
        "sealed": report.sealed,
        "head": report.head,
        "market": None,
    }
    if catalog is not None:
        records = read_crosses(path, need_seal=not unsealed)
        market = verify_against_market(records, catalog_quotes(catalog, {r["root"] for r in records}))
        found["market"] = {"symbols": market.symbols, "venues": market.venues, "quotes": market.quotes}
    if json:
        print_json(found)
        return
    out().print(f"{path}: {report.records:,} crosses, chain whole, {'sealed' if report.sealed else 'not sealed'}")
    if found["market"]:
        out().print(f"every cross agrees with {found['market']['quotes']:,} recorded quotes")


@app.command()
def show(
    source: Source,
    by: Annotated[str, typer.Option(help="Party columns to group by, with commas.")] = "beneficiary",
    limit: Annotated[int, typer.Option(min=0, max=CROSSES_SHOWN_MAX, help="Crosses listed.")] = 20,
    parquet: Annotated[Path | None, typer.Option(help="Also write all crosses to this file.")] = None,
    unsealed: Unsealed = False,
    json: Json = False,
) -> None:
    """Show crosses and what each party saved."""
    path = find_record(source)
    records = read_crosses(path, need_seal=not unsealed, expect=kept_seal(path))
    saved = savings(crosses_frame(records), tuple(filter(None, by.split(","))))
    if parquet is not None:
        export_parquet(path, parquet, need_seal=not unsealed)
    if json:
        print_json({"path": str(path), "crosses": records[:limit], "count": len(records), "savings": saved.to_dicts()})
        return
    print_table(f"{len(records):,} crosses in {path}", _COLUMNS, [_row(r) for r in records[:limit]])
    plain = [tuple(f"{v:,.2f}" if isinstance(v, Decimal) else v for v in row) for row in saved.rows()]
    print_table("saved against the touch, and against the midpoint on arrival", saved.columns, plain)


@app.command()
def example(
    desk_price: Annotated[
        str, typer.Option(help="What the desk pays for the residual; `none` for no answer.")
    ] = "190.13",
    json: Json = False,
) -> None:
    """Print the worked example: a client sells 1000, a strategy buys 500, the desk is asked for the rest."""
    try:
        price = None if desk_price == "none" else Decimal(desk_price)
    except InvalidOperation:
        raise SpecError(f"desk price {desk_price!r} is no number", expected="a price such as 190.13") from None
    found = worked_example(price).to_dict()
    found["ledger"] = booked = book_example(found)
    if json:
        print_json(found)
        return
    cross, rest = found["cross"], found["residual"]
    nbbo, currency = cross["nbbo"], cross["currency"]
    lines = [
        f"market    {nbbo['bid']} / {nbbo['ask']} from {nbbo['bid_venue']}, {nbbo['bid_age_ns'] / 1e9:.1f} s old",
        f"ticket    {cross['sell']['order_id']}: {cross['sell']['client_id']} sells {cross['sell']['ordered']} AAPL",
        f"ticket    {cross['buy']['order_id']}: {cross['buy']['strategy_tag']} buys {cross['buy']['ordered']} AAPL",
        f"cross     {cross['cross_id']}: {cross['quantity']} at {cross['price']}",
    ]
    for party, touch in ((cross["sell"], "bid"), (cross["buy"], "offer")):
        gain = f"{Decimal(party['saved']):.2f} {currency} ({party['saved_bps']} bps)"
        lines.append(f"saved     {party['beneficiary']}: {gain} against the {touch} {party['touch']}")
    if rest["desk_price"] is not None:
        lines.append(f"residual  {rest['desk']} of {rest['order_id']} to the desk at {rest['desk_price']}")
    if rest["market"] != "0":
        lines.append(
            f"residual  {rest['market']} of {rest['order_id']} to the market by {rest['algorithm']}: {rest['reason']}"
        )
    moved = ", ".join(f"{book} {own['AAPL']}" for book, own in booked["books"].items())
    lines.append(
        f"ledger    {booked['entries']} entries, {'balanced' if booked['balanced'] else 'NOT BALANCED'}: {moved}"
    )
    out().print("\n".join(lines), highlight=False)


def find_record(source: str) -> Path:
    """Return the record that `source` names; `DataError` if there is none."""
    path = Path(source)
    if path.is_file():
        return path
    if not path.is_dir():
        # Only a run's id needs the runs folder, and with it the engine's package.
        from ufos_nautilus.engine.runs import find_run, runs_root

        path = find_run(runs_root(), source)
    record = path / CROSSES_FILE
    if not record.is_file() and kept_seal(record) is not None:
        raise IntegrityError(f"{record} is gone", expected="the record that the run's result tells of")
    if not record.is_file():
        raise DataError(f"{path} has no {CROSSES_FILE}", expected="a run in which tickets crossed")
    return record


def kept_seal(path: Path) -> Seal | None:
    """Return how the record must end according to the run's result beside it, or None where that says nothing."""
    result = path.with_name("result.json")
    if path.name != CROSSES_FILE or not result.is_file():
        return None
    try:
        if result.stat().st_size > RUN_JSON_BYTES_MAX:
            raise ValueError("too large")
        kept = json_module.loads(result.read_text("utf-8")).get("crosses") or {}
        return Seal(int(kept["count"]), str(kept["head"])) if "head" in kept else None
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{result} can't be read: {error!r}", expected="a run's result") from None


_COLUMNS = ("cross", "symbol", "quantity", "price", "bid", "ask", "buyer", "seller", "saved by each")


def _row(record: dict[str, Any]) -> tuple[object, ...]:
    nbbo, buy, sell = record["nbbo"], record["buy"], record["sell"]
    return (
        record["cross_id"],
        record["root"],
        Decimal(record["quantity"]),
        Decimal(record["price"]),
        Decimal(nbbo["bid"]),
        Decimal(nbbo["ask"]),
        buy["beneficiary"],
        sell["beneficiary"],
        Decimal(buy["saved"]),
    )
