"""Whatever the updates, the delta rows of a recording rebuild exactly the book that the updates describe."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.raw_recording import Levels, RawRecording
from ufos_adapters.files.binance_raw import read
from ufos_nautilus.market.quality import check_table
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import F_LAST

Book = dict[str, dict[Decimal, Decimal]]

prices = {"BUY": st.integers(950, 999), "SELL": st.integers(1000, 1050)}
sizes = st.sampled_from(["0.000", "0.000", "0.001", "1.500", "20.000"])


def levels(side: str) -> st.SearchStrategy[Levels]:
    one = st.tuples(prices[side].map(lambda p: f"{p / 10:.2f}"), sizes)
    return st.lists(one, max_size=6, unique_by=lambda level: level[0])


updates = st.lists(st.tuples(levels("BUY"), levels("SELL")), min_size=1, max_size=25)


def apply(book: Book, side: str, changes: Levels) -> None:
    for price, size in changes:
        book[side].pop(Decimal(price), None)
        if Decimal(size):
            book[side][Decimal(price)] = Decimal(size)


@pytest.mark.parametrize("market", ["spot", "usdm"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=updates, late=st.integers(0, 24), start=levels("BUY"))
def test_delta_rows_rebuild_the_book_after_every_update(market, changes, late, start, tmp_path: Path):
    raw = RawRecording(market)
    book: Book = {"BUY": {}, "SELL": {}}
    apply(book, "BUY", start)
    before = {side: [(str(p), str(q)) for p, q in book[side].items()] for side in book}
    wanted: list[Book] = []
    # The snapshot describes the book before the first update and comes after up to `late` of them.
    for i, (bids, asks) in enumerate(changes):
        raw.depth(bids, asks)
        apply(book, "BUY", bids)
        apply(book, "SELL", asks)
        if i == min(late, len(changes) - 1):
            raw.snapshot(before["BUY"], before["SELL"], last_id=100)
            wanted = []
        wanted.append({side: dict(book[side]) for side in book})
    path = raw.write(tmp_path / "a.txt")

    rebuilt: Book = {"BUY": {}, "SELL": {}}
    seen: list[Book] = []
    recording = read([path], ReadOptions(tick_size="0.1", lot_size="0.001"))
    for batch in recording.batches:
        assert not [f for f in check_table("order_book_deltas", batch.frame) if f.severity == "error"]
        for row in batch.frame.iter_rows(named=True):
            side = row["side"]
            if row["action"] == "CLEAR":
                rebuilt = {"BUY": {}, "SELL": {}}
            elif row["action"] == "DELETE":
                del rebuilt[side][row["price"]]
            else:
                assert (row["price"] in rebuilt[side]) == (row["action"] == "UPDATE")
                rebuilt[side][row["price"]] = row["size"]
            if row["flags"] & F_LAST:
                seen.append({key: dict(rebuilt[key]) for key in rebuilt})
    # Updates that only delete unknown levels are no event.
    changed = [w for i, w in enumerate(wanted) if i == 0 or w != wanted[i - 1]]
    assert [s for i, s in enumerate(seen) if i == 0 or s != seen[i - 1]] == changed
