"""Tax lots and allocation, by hand-calculated figures."""

from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.ledger import Asset, BlockAllocation, Contract, Lot, LotBook, allocate
from ufos_nautilus.limits import LEDGER_LOTS_MAX

AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))


def three_lots(method, side: int = 1) -> LotBook:
    book = LotBook(AAPL, method)
    for day, price in enumerate(("10.00", "30.00", "20.00")):
        assert book.trade(day, f"L{day}", side * 100, D(price)) == []
    return book


@pytest.mark.parametrize(
    ("method", "closed", "gain"),
    [
        ("fifo", [("L0", 100), ("L1", 50)], 150 * 2500 - 100 * 1000 - 50 * 3000),
        ("lifo", [("L2", 100), ("L1", 50)], 150 * 2500 - 100 * 2000 - 50 * 3000),
        ("highest_cost", [("L1", 100), ("L2", 50)], 150 * 2500 - 100 * 3000 - 50 * 2000),
    ],
)
def test_each_method_closes_the_lots_it_is_named_for(method, closed, gain):
    book = three_lots(method)
    disposals = book.trade(9, "S", -150, D("25.00"))
    assert [(d.lot_ref, d.quantity) for d in disposals] == closed
    assert sum(d.gain for d in disposals) == gain
    assert book.position == 150


def test_the_owner_may_name_the_lots():
    book = three_lots("specific")
    disposals = book.trade(9, "S", -120, D("25.00"), [("L2", 100), ("L0", 20)])
    assert [(d.lot_ref, d.cost, d.gain) for d in disposals] == [("L2", 200_000, 50_000), ("L0", 20_000, 30_000)]
    assert book.lots["L0"] == Lot("L0", 0, 80, 80_000)


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        ([("L9", 120)], "is not open"),
        ([("L0", 101), ("L1", 19)], "has 100 units"),
        ([("L0", 60), ("L0", 60)], "has 100 units"),
        ([("L0", -1)], "has 100 units"),
        ([("L0", 100)], "lots of 100 units were named for a trade that closes 120"),
        ([], "lots of 0 units"),
    ],
)
def test_named_lots_must_be_there_and_add_up(picks, message):
    book = three_lots("specific")
    before = dict(book.lots)
    with pytest.raises(DataError, match=message):
        book.trade(9, "S", -120, D("25.00"), picks)
    assert book.lots == before


def test_short_lots_close_the_smallest_gain_first():
    book = three_lots("highest_cost", side=-1)
    disposals = book.trade(9, "B", 100, D("15.00"))
    assert [(d.lot_ref, d.gain) for d in disposals] == [("L0", -50_000)]  # sold at 10, bought back at 15
    assert book.position == -200


def test_a_trade_through_zero_closes_all_lots_and_opens_one_on_the_other_side():
    book = three_lots("fifo")
    disposals = book.trade(9, "S", -350, D("25.00"))
    assert len(disposals) == 3
    assert book.lots == {"S": Lot("S", 9, 50, -125_000)}
    assert (book.position, book.side) == (-50, -1)
    book.trade(10, "C", 50, D("25.00"))
    assert (book.position, book.side, book.lots) == (0, 0, {})


def test_parts_of_a_lot_never_lose_a_unit():
    book = LotBook(AAPL)
    book.trade(0, "L", 3, D("33.34"))
    gains = [book.trade(i, f"S{i}", -1, D("33.34"))[0] for i in range(1, 4)]
    assert [d.cost for d in gains] == [3334, 3334, 3334]
    book.trade(5, "M", 3, D("0.01"))
    book.resize(7)
    assert [book.trade(i, f"T{i}", -1, D(1))[0].cost for i in range(7)] == [0, 0, 1, 0, 1, 0, 1]
    assert book.lots == {}


def test_a_split_merges_lots_that_vanish():
    book = LotBook(AAPL)
    for name, quantity in (("big", 100), ("small", 1)):
        book.trade(0, name, quantity, D(10))
    book.resize(10)
    assert book.lots == {"big": Lot("big", 0, 10, 101_000)}
    for position in (-5, 0):
        with pytest.raises(DataError, match="by a split"):
            book.resize(position)


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="no lot method"):
        LotBook(AAPL, "random")  # pyright: ignore[reportArgumentType]
    book = three_lots("fifo")
    with pytest.raises(DataError, match="no quantity"):
        book.trade(1, "Z", 0, D(1))
    with pytest.raises(DataError, match="open already"):
        book.trade(1, "L1", 5, D(1))
    with pytest.raises(DataError, match="lots were named"):
        book.trade(1, "S", -5, D(1), [("L0", 5)])
    book.lots |= {str(i): Lot(str(i), 0, 1, 1) for i in range(LEDGER_LOTS_MAX)}
    with pytest.raises(LimitExceededError, match="lots are open"):
        book.trade(1, "X", 5, D(1))


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (100, [50, 30, 20], [50, 30, 20]),
        (7, [3, 3, 1], [3, 3, 1]),
        (2, [1, 1, 1], [1, 1, 0]),
        (-5, [2, 1], [-3, -2]),
        (0, [0, 0], [0, 0]),
        (3, [0, 7], [0, 3]),
    ],
)
def test_shares_follow_the_largest_remainder(total, weights, expected):
    assert allocate(total, weights) == expected


@pytest.mark.parametrize(("total", "weights"), [(1, [0, 0]), (1, []), (1, [2, -1])])
def test_weights_that_share_nothing_are_refused(total, weights):
    with pytest.raises(DataError, match="cannot share"):
        allocate(total, weights)


def test_a_block_is_shared_fill_by_fill_with_its_commission():
    block = BlockAllocation({"ann": 600, "bob": 300, "cid": 100})
    assert block.fill(5, [101]) == {"ann": (3, 61), "bob": (2, 40)}
    assert block.fill(995) == {"ann": (597,), "bob": (298,), "cid": (100,)}
    with pytest.raises(DataError, match="waits for 0"):
        block.fill(1)
    with pytest.raises(DataError, match="without quantity"):
        BlockAllocation({"ann": 0})
