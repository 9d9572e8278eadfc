"""Splits the profit of a run into spread captured, what the price did after each fill, fees and the rest, exactly.

A fill of q units at price p, with the mid m when it happened, m' a horizon later and M at the end of the run:

    v(q, M) - v(q, p)  =  [v(q, m) - v(q, p)]  +  [v(q, m') - v(q, m)]  +  [v(q, M) - v(q, m')]
      profit at mid         spread captured        adverse selection         inventory

with v the value of a signed position as the ledger rounds it. Over all fills the left sides add up to realised plus
unrealised profit, so with fees and what the ledger books besides the parts are the net profit to the last unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.money import from_units, to_units
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.run_schemas import DEC, MARKOUTS_MS, markout_column

CURRENCY_DECIMALS = 12
"""Decimals of a currency nobody described, as many as the tables of a run carry."""
LEDGER_PARTS = ("venue_difference", "funding", "dividends", "transfer_fee", "fx")
"""What the ledger books to a book's profit besides trades and fees."""
ATTRIBUTION: dict[str, Any] = {
    "book": pl.String, "instrument_id": pl.String, "side": pl.String, "currency": pl.String, "fills": pl.Int64,
    "quantity": DEC, "notional": DEC, "without_mid": pl.Int64, "spread": DEC,
    **{f"move_{ms}ms": DEC for ms in MARKOUTS_MS}, "move_to_end": DEC, "averaging": DEC, "fees": DEC,
}  # fmt: skip
"""Columns of `attribute`."""


@dataclass(slots=True)
class _Sums:
    """One side of one book in one instrument, money in smallest units."""

    fills: int = 0
    quantity: Decimal = Decimal(0)
    notional: int = 0
    without_mid: int = 0
    units: int = 0
    at_price: int = 0
    at_mid: int = 0
    later: list[int] = field(default_factory=lambda: [0] * len(MARKOUTS_MS))
    open_ended: list[int] = field(default_factory=lambda: [0] * len(MARKOUTS_MS))
    """Units whose horizon lies beyond the end of the run; they are valued there."""
    averaging: int = 0


def contract_of(spec: InstrumentSpec, currencies: Mapping[str, int]) -> Contract:
    """Return the terms by which an instrument's positions are valued; `currencies` gives decimals by code."""
    money = Asset(spec.settlement, currencies.get(spec.settlement, CURRENCY_DECIMALS))
    return Contract.of(spec, money)


def attribute(
    fills: pl.DataFrame,
    markouts: pl.DataFrame,
    instruments: Mapping[str, InstrumentSpec],
    marks: Mapping[str, Decimal],
    currencies: Mapping[str, int],
) -> pl.DataFrame:
    """Split the profit of every book, instrument and side.

    Parameters
    ----------
    fills, markouts : polars.DataFrame
        Tables of a run.
    instruments : mapping
        Lit instruments by id; fills inside the house belong to the one with the same symbol.
    marks : mapping
        Instrument id -> price by which positions are valued at the end, price units.
    currencies : mapping
        Currency code -> decimals of its smallest unit.

    Returns
    -------
    polars.DataFrame
        Columns `ATTRIBUTION`: ``spread`` against the mid at the fill, ``move_...`` what the price did to the filled
        quantity until the horizon (its mean is the markout; negative is adverse selection), ``move_to_end`` until
        the end of the run, ``averaging`` what the venue's average price of inverse contracts adds (zero for all
        others), ``fees`` negative where paid. Profit is spread + move_to_end + averaging + fees. A fill without a
        known mid counts as made at the mid (``without_mid``); one whose horizon lies beyond the end is valued there.
        A commission in another currency has a row of its own.

    Raises
    ------
    DataError
        Where a filled instrument is unknown or a position has no mark.

    """
    by_symbol = {spec.symbol: (name, spec) for name, spec in instruments.items()}
    joined = fills.join(
        markouts.select("trade_id", "client_order_id", "mid", *map(markout_column, MARKOUTS_MS)),
        on=["trade_id", "client_order_id"],
        how="left",
        maintain_order="left",
    )
    contracts: dict[str, Contract] = {}
    holdings: dict[tuple[str, str], tuple[int, int]] = {}
    sums: dict[tuple[str, str, str, str], _Sums] = {}
    fees: dict[tuple[str, str, str, str], Decimal] = {}
    for row in joined.iter_rows(named=True):
        symbol = row["instrument_id"].rpartition(".")[0]
        if symbol not in by_symbol:
            raise DataError(f"nothing is known about {row['instrument_id']}", expected="an instrument of the run")
        name, spec = by_symbol[symbol]
        contract = contracts.setdefault(name, contract_of(spec, currencies))
        key = (row["book"], name, row["side"], spec.settlement)
        averaging = _average(holdings, contract, row)
        _add(sums.setdefault(key, _Sums()), contract, row, averaging)
        if row["commission"]:
            paid = (*key[:3], row["commission_currency"])
            fees[paid] = fees.get(paid, Decimal(0)) - row["commission"]
    rows = [_row(key, sums, contracts, marks, fees) for key in sums]
    rows += [_fee_row(key, paid) for key, paid in fees.items() if key not in sums]
    return pl.DataFrame(rows, schema=ATTRIBUTION, orient="row").sort("book", "instrument_id", "side", "currency")


def _average(holdings: dict[tuple[str, str], tuple[int, int]], contract: Contract, row: dict[str, Any]) -> int:
    """Keep the book's cost as the ledger does; return how far the opening part's cost is from its value."""
    if not contract.inverse:
        return 0
    traded, key = _units(contract, row), (row["book"], contract.item)
    quantity, cost = holdings.get(key, (0, 0))
    value = contract.value(traded, row["price"])
    closing, released, opened = contract.split(quantity, cost, traded, row["price"], value)
    holdings[key] = (quantity + traded, cost + opened - released)
    return value - closing - opened


def _units(contract: Contract, row: dict[str, Any]) -> int:
    units = to_units(row["quantity"], contract.asset.decimals)
    return units if row["side"] == "BUY" else -units


def _add(total: _Sums, contract: Contract, row: dict[str, Any], averaging: int) -> None:
    units, price, mid = _units(contract, row), row["price"], row["mid"]
    at_price = contract.value(units, price)
    at_mid = at_price if mid is None else contract.value(units, mid)
    total.fills += 1
    total.without_mid += mid is None
    total.quantity += row["quantity"]
    total.notional += abs(at_price)
    total.units += units
    total.at_price += at_price
    total.at_mid += at_mid
    total.averaging += averaging
    for i, milliseconds in enumerate(MARKOUTS_MS):
        later = row[markout_column(milliseconds)]
        if later is None:
            total.open_ended[i] += units
        else:
            total.later[i] += contract.value(units, later)


def _row(
    key: tuple[str, str, str, str],
    sums: dict[tuple[str, str, str, str], _Sums],
    contracts: Mapping[str, Contract],
    marks: Mapping[str, Decimal],
    fees: Mapping[tuple[str, str, str, str], Decimal],
) -> tuple[Any, ...]:
    book, name, side, currency = key
    total, contract = sums[key], contracts[name]

    def at_end(units: int) -> int:
        if not units:
            return 0
        if name not in marks:
            raise DataError(f"no mark of {name} at the end of the run", expected="a price for every position")
        return contract.value(units, marks[name])

    end = at_end(total.units)
    other = sums.get((book, name, "SELL", currency)) if side == "BUY" else None
    if other is not None:  # what rounding leaves between the two sides and their difference belongs to the buys
        end = at_end(total.units + other.units) - at_end(other.units)

    def money(units: int) -> Decimal:
        return from_units(units, contract.currency.decimals)

    later = [
        value + (at_end(units) if units != total.units else end)
        for value, units in zip(total.later, total.open_ended, strict=True)
    ]
    return (
        *key,
        total.fills,
        total.quantity,
        money(total.notional),
        total.without_mid,
        money(total.at_mid - total.at_price),
        *(money(value - total.at_mid) for value in later),
        money(end - total.at_mid),
        money(total.averaging),
        fees.get(key, Decimal(0)),
    )


def _fee_row(key: tuple[str, str, str, str], paid: Decimal) -> tuple[Any, ...]:
    zero = Decimal(0)
    return (*key, 0, zero, zero, 0, zero, *(zero for _ in MARKOUTS_MS), zero, zero, paid)


def by_book(attribution: pl.DataFrame, ledger_books: Mapping[str, Any], horizon_ms: int = 1_000) -> pl.DataFrame:
    """Add up the parts of every book and hold them against its ledger.

    Parameters
    ----------
    attribution : polars.DataFrame
        From `attribute`.
    ledger_books : mapping
        ``result["ledger"]["books"]``; empty where the run kept no ledger.
    horizon_ms : int
        Until when a move of the price counts as adverse selection, one of `MARKOUTS_MS`; later ones are inventory.

    Returns
    -------
    polars.DataFrame
        book, currency, spread, adverse, inventory, averaging, fees, funding, other (venue_difference, dividends,
        transfer_fee, fx), net (their sum), ledger (its own figure, null without one), difference (net - ledger).

    """
    move = f"move_{horizon_ms}ms"
    parts = attribution.group_by("book", "currency").agg(
        pl.col("spread").sum(),
        pl.col(move).sum().alias("adverse"),
        (pl.col("move_to_end") - pl.col(move)).sum().alias("inventory"),
        pl.col("averaging").sum(),
        pl.col("fees").sum(),
    )
    found = {(r["book"], r["currency"]): r for r in parts.iter_rows(named=True)}
    names = ("spread", "adverse", "inventory", "averaging", "fees")
    keys = set(found) | {(b, code) for b, facts in ledger_books.items() for code in facts["pnl"]}
    rows = []
    for key in sorted(keys):
        own = [found[key][n] if key in found else Decimal(0) for n in names]
        stated = ledger_books.get(key[0], {}).get("pnl", {}).get(key[1])
        booked = {n: Decimal(stated[n]) if stated else Decimal(0) for n in LEDGER_PARTS}
        funding = booked.pop("funding")
        other = sum(booked.values(), Decimal(0))
        net = sum(own, funding + other)
        total = Decimal(stated["total"]) if stated else None
        rows.append((*key, *own, funding, other, net, total, None if total is None else net - total))
    columns = ("book", "currency", *names, "funding", "other", "net", "ledger", "difference")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, DEC) | {"book": pl.String, "currency": pl.String},
                        orient="row")  # fmt: skip


def require_exact(books: pl.DataFrame) -> None:
    """Raise `DataError` where the parts of a book are not its ledger's profit to the last unit."""
    wrong: Sequence[dict[str, Any]] = books.filter(pl.col("difference") != 0).to_dicts()
    if wrong:
        first = wrong[0]
        raise DataError(
            f"{first['book']}: parts add up to {first['net']} {first['currency']}, its ledger says {first['ledger']}",
            expected="the same to the last unit",
        )
