"""The parts of the profit are the ledger's profit to the last unit, for any fills, markets and contracts."""

from datetime import UTC, datetime
from decimal import Decimal as D

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger import Ledger, Leg, fill, results
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.research.attribution import LEDGER_PARTS, attribute, by_book, contract_of, require_exact
from ufos_nautilus.run_schemas import MARKOUTS_MS, SCHEMAS

START = datetime(2026, 1, 5, tzinfo=UTC)
CURRENCIES = {"USDT": 8, "BTC": 8, "USD": 2}


def spec(symbol: str, settlement: str, *, inverse: bool = False, multiplier: str = "1") -> InstrumentSpec:
    return InstrumentSpec(
        instrument_id=f"{symbol}.V", kind="crypto_perpetual", base="BTC", quote="USD", settlement=settlement,
        tick_size=D("0.1"), lot_size=D("0.001"), price_precision=1, size_precision=3, inverse=inverse,
        multiplier=D(multiplier),
    )  # fmt: skip


LINEAR, INVERSE = spec("LIN", "USDT"), spec("INV", "BTC", inverse=True, multiplier="100")
CENTS = spec("CENT", "USD", multiplier="0.37")
INSTRUMENTS = {s.instrument_id: s for s in (LINEAR, INVERSE, CENTS)}

prices = st.integers(1_000, 900_000).map(lambda n: D(n) / 10)
mids = st.one_of(st.none(), st.integers(2_000, 1_800_000).map(lambda n: D(n) / 20))
trades = st.lists(
    st.tuples(
        st.sampled_from(("A-1", "B-1")),
        st.sampled_from(sorted(INSTRUMENTS)),
        st.sampled_from(("BUY", "SELL")),
        st.integers(1, 5_000).map(lambda n: D(n) / 1000),
        prices,
        st.integers(-500, 900),
        st.tuples(mids, *(mids for _ in MARKOUTS_MS)),
    ),
    max_size=40,
)


def post(sequence, marks):
    """Post the trades and return what the ledger says of each book, as a run's result holds it."""
    ledger = Ledger()
    contracts = {name: contract_of(s, CURRENCIES) for name, s in INSTRUMENTS.items()}
    for contract in contracts.values():
        ledger.define(contract)
    for number, (book, name, side, quantity, price, fee, _) in enumerate(sequence):
        code = INSTRUMENTS[name].settlement
        commission = fee * D(1).scaleb(-CURRENCIES[code])
        leg = Leg(book=book, margined=True, commission=commission)
        ledger.post(
            fill(ledger.state, leg, ts_ns=number, ref=str(number), instrument_id=name, side=side, quantity=quantity,
                 price=price)
        )  # fmt: skip
    ledger.flush()
    by_symbol = {INSTRUMENTS[name].symbol: mark for name, mark in marks.items()}
    names = ("realised", "unrealised", "fees", *LEDGER_PARTS, "total")
    return {
        book: {"pnl": {r.currency: {n: str(getattr(r, n)) for n in names} for r in found}}
        for book in sorted({t[0] for t in sequence})
        if (found := results(ledger.state, book, by_symbol)) is not None
    }


def tables(sequence):
    fills = [
        (START, str(n), str(n), str(n), book, name, side, price, quantity, "MAKER",
         fee * D(1).scaleb(-CURRENCIES[INSTRUMENTS[name].settlement]), INSTRUMENTS[name].settlement, None, None)
        for n, (book, name, side, quantity, price, fee, _) in enumerate(sequence)
    ]  # fmt: skip
    markouts = [(START, str(n), str(n), t[0], t[1], *t[6]) for n, t in enumerate(sequence)]
    return (
        pl.DataFrame(fills, schema=SCHEMAS["fills"], orient="row"),
        pl.DataFrame(markouts, schema=SCHEMAS["markouts"], orient="row"),
    )


@given(trades, st.fixed_dictionaries(dict.fromkeys(sorted(INSTRUMENTS), prices)))
def test_the_parts_add_up_to_the_ledgers_profit_to_the_last_unit(sequence, marks):
    found = attribute(*tables(sequence), INSTRUMENTS, marks, CURRENCIES)
    stated = post(sequence, marks)
    for milliseconds in MARKOUTS_MS:
        books = by_book(found, stated, milliseconds)
        assert (books["difference"] == 0).all()
        require_exact(books)
    assert found["fills"].sum() == len(sequence)
    assert (found.filter(~pl.col("instrument_id").str.starts_with("INV"))["averaging"] == 0).all()


@given(trades, st.fixed_dictionaries(dict.fromkeys(sorted(INSTRUMENTS), prices)))
def test_the_signs_of_the_parts(sequence, marks):
    """Buying below the mid earns spread; a price that moves for the position earns the move; a fee costs."""
    for trade in sequence:
        book = attribute(*tables([trade]), INSTRUMENTS, marks, CURRENCIES).row(0, named=True)
        side, price, fee, mid = trade[2], trade[4], trade[5], trade[6][0]
        mid = price if mid is None else mid
        better = (mid - price) * (1 if side == "BUY" else -1)
        assert book["spread"] * better >= 0
        assert book["fees"] * fee <= 0
        moved = (marks[trade[1]] - mid) * (1 if side == "BUY" else -1)
        assert book["move_to_end"] * moved >= 0


def test_a_difference_is_refused_and_named():
    sequence = [("A-1", "LIN.V", "BUY", D(1), D(100), 0, (D(100), *([None] * 4)))]
    stated = post(sequence, {"LIN.V": D(101)})
    stated["A-1"]["pnl"]["USDT"]["total"] = "1.00000001"
    found = attribute(*tables(sequence), INSTRUMENTS, {"LIN.V": D(101)}, CURRENCIES)
    with pytest.raises(DataError, match=r"A-1: parts add up to 1\.0+ USDT, its ledger says 1\.00000001"):
        require_exact(by_book(found, stated))


def test_a_position_without_a_mark_is_refused():
    sequence = [("A-1", "LIN.V", "BUY", D(1), D(100), 0, (D(100), *([None] * 4)))]
    with pytest.raises(DataError, match="no mark of"):
        attribute(*tables(sequence), INSTRUMENTS, {}, CURRENCIES)


def test_an_instrument_nobody_described_is_refused():
    sequence = [("A-1", "LIN.V", "BUY", D(1), D(100), 0, (D(100), *([None] * 4)))]
    with pytest.raises(DataError, match="nothing is known about"):
        attribute(*tables(sequence), {"INV.V": INVERSE}, {}, CURRENCIES)
