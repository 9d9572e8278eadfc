"""Whole-table rebuilding of books and quotes against the obvious loops."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ufos_adapters.files.nbbo import carry_forward
from ufos_adapters.files.order_flow import ADD, CUT, DELETE, EXECUTE, rebuild

PRICES = {1: (98, 99, 100), -1: (101, 102, 103)}

message = st.tuples(
    st.sampled_from((ADD, ADD, CUT, DELETE, EXECUTE, 5)),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from((1, -1)),
    st.integers(0, 2),
)
seed = st.dictionaries(st.tuples(st.sampled_from((1, -1)), st.integers(0, 2)), st.integers(1, 5), max_size=4)


def naive_best(
    messages: list[tuple[int, int, int, int, int]], levels: dict[tuple[int, int], int]
) -> list[tuple[int | None, ...]]:
    """Follow orders one message at a time; seeds are orders named by side and price."""
    orders: dict[object, list[int]] = {key: [key[0], key[1], size] for key, size in levels.items()}
    added: set[int] = set()
    out = []
    for kind, order_id, price, size, direction in messages:
        if kind == ADD and order_id not in added:
            added.add(order_id)
            orders[order_id] = [direction, price, size]
        elif kind in (CUT, DELETE, EXECUTE):
            key: object = order_id if order_id in added else (direction, price)
            if key in orders:
                ends = kind == DELETE and order_id in added
                orders[key][2] -= orders[key][2] if ends else min(size, orders[key][2])
                if not orders[key][2]:
                    del orders[key]
        row: list[int | None] = []
        for side, best in ((-1, min), (1, max)):
            mine = [(p, s) for d, p, s in orders.values() if d == side]
            top = best((p for p, _ in mine), default=None)
            row += [top, sum(s for p, s in mine if p == top) if top is not None else None]
        out.append(tuple(row))
    return out


@given(st.lists(message, min_size=1, max_size=60), seed)
def test_the_best_prices_equal_those_of_following_each_order(
    drawn: list[tuple[int, int, int, int, int]], seeds: dict[tuple[int, int], int]
) -> None:
    # An order keeps its side and price; a message names them as LOBSTER does.
    homes: dict[int, tuple[int, int]] = {}
    messages = []
    for kind, order_id, size, direction, level in drawn:
        home = homes.setdefault(order_id, (direction, PRICES[direction][level]))
        messages.append((kind, order_id, home[1], size, home[0]))
    levels = {(side, PRICES[side][level]): size for (side, level), size in seeds.items()}
    frame = pl.DataFrame(
        [(n, k, i, s, p, d) for n, (k, i, p, s, d) in enumerate(messages, 1)],
        schema=dict.fromkeys(("seq", "type", "order_id", "size", "price", "direction"), pl.Int64),
        orient="row",
    )
    first = pl.DataFrame(
        [(d, p, s) for (d, p), s in levels.items()],
        schema=dict.fromkeys(("direction", "price", "size"), pl.Int64),
        orient="row",
    )
    flow = rebuild(frame, first)
    assert flow.best.select("ask", "ask_size", "bid", "bid_size").rows() == naive_best(messages, levels)
    assert flow.best["seq"].to_list() == list(range(1, len(messages) + 1))
    # What the changes say sums up to the same book.
    left: dict[int, tuple[int, int, int]] = {}
    for _, action, direction, price, size, order_id in flow.changes.iter_rows():
        assert (action == "ADD") == (order_id not in left)
        assert (action == "DELETE") == (size == 0)
        left[order_id] = (direction, price, size)
        if action == "DELETE":
            del left[order_id]
    bids = [p for d, p, _ in left.values() if d == 1]
    assert (max(bids) if bids else None) == flow.best["bid"][-1]


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 9)), max_size=40))
def test_carried_quotes_equal_those_of_a_loop(drawn: list[tuple[int, bool, int]]) -> None:
    time, rows = 0, []
    for step, is_bid, price in drawn:
        time += step
        rows.append((len(rows) + 1, time, price * is_bid, 1 * is_bid, price * (not is_bid), 1 * (not is_bid)))
    names = ("line", "time", "bid", "bid_size", "ask", "ask_size")
    found = carry_forward(pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row"))
    bid = ask = None
    wanted = []
    for n, row in enumerate(rows):
        bid, ask = (row[2], ask) if row[2] else (bid, row[4])
        following = rows[n + 1] if n + 1 < len(rows) else None
        half = bool(row[2]) and following is not None and bool(following[4]) and following[1] == row[1]
        if bid and ask and not half:
            wanted.append((row[0], row[1], bid, ask))
    assert found.select("line", "time", "bid", "ask").rows() == wanted
