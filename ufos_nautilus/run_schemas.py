"""Columns of the tables every run stores: written by the engine, read by reports."""

from typing import Any

import polars as pl

DEC = pl.Decimal(38, 12)
TS = pl.Datetime("ns", "UTC")
_S = pl.String

CROSS_TAG = "cross:"
"""Before the id of a trade inside the house, in the tags of the orders that are its legs."""
TICKET_TAG = "ticket:"
"""Before the id of the ticket that an order is a piece of; the last of its tags."""

MARKOUTS_MS = (100, 1_000, 10_000, 60_000)
"""Times after a fill at which the market is looked at again, milliseconds."""


def markout_column(milliseconds: int) -> str:
    """Return the column of table `markouts` that holds the mid this long after a fill."""
    return f"mid_{milliseconds}ms"


SCHEMAS: dict[str, dict[str, Any]] = {
    "orders": {
        "ts_init": TS, "client_order_id": _S, "book": _S, "instrument_id": _S, "side": _S, "order_type": _S,
        "quantity": DEC, "price": DEC, "status": _S, "filled_quantity": DEC, "avg_price": DEC, "ts_last": TS,
        "tags": _S,
    },
    "fills": {
        "ts": TS, "trade_id": _S, "client_order_id": _S, "venue_order_id": _S, "book": _S, "instrument_id": _S,
        "side": _S, "price": DEC, "quantity": DEC, "liquidity": _S, "commission": DEC, "commission_currency": _S,
        "bid": DEC, "ask": DEC,
    },
    "positions": {
        "book": _S, "instrument_id": _S, "side": _S, "quantity": DEC, "avg_open": DEC, "avg_close": DEC,
        "realized_pnl": DEC, "currency": _S, "ts_opened": TS, "ts_closed": TS,
    },
    "equity": {"ts": TS, "account": _S, "currency": _S, "equity": DEC, "balance": DEC, "unrealized": DEC},
    "inventory": {"ts": TS, "book": _S, "instrument_id": _S, "quantity": DEC, "bid": DEC, "ask": DEC},
    "quotes": {
        "ts": TS, "book": _S, "instrument_id": _S, "bid": DEC, "bid_size": DEC, "ask": DEC, "ask_size": DEC,
        "fair_value": pl.Float64, "inventory": DEC, "market_bid": DEC, "market_ask": DEC, "reason": _S,
    },
    "tickets": {
        "ts": TS, "order_id": _S, "parent_id": _S, "book": _S, "beneficiary": _S, "client_id": _S, "desk_id": _S,
        "strategy_tag": _S, "instrument_id": _S, "side": _S, "quantity": DEC, "limit": DEC, "internalize": pl.Boolean,
        "algorithm": _S, "arrival_bid": DEC, "arrival_ask": DEC,
        # Quantity by route, and the sum of price times quantity.
        "crossed": DEC, "crossed_value": DEC, "desk": DEC, "desk_value": DEC, "market": DEC, "market_value": DEC,
        "unfilled": DEC, "commission": DEC, "commission_currency": _S, "transfer_fee": DEC, "ts_filled": TS,
    },
    "markouts": {
        "ts": TS, "trade_id": _S, "client_order_id": _S, "book": _S, "instrument_id": _S, "mid": DEC,
        **{markout_column(ms): DEC for ms in MARKOUTS_MS},
    },
    "estimates": {
        "ts": TS, "book": _S, "instrument_id": _S, "name": _S, "value": pl.Float64, "error": pl.Float64, "state": _S,
    },
    "alerts": {
        "ts": TS, "source": _S, "kind": _S, "instrument_id": _S, "value": pl.Float64, "mean": pl.Float64,
        "deviation": pl.Float64, "detail": _S,
    },
    "navs": {"ts": TS, "book": _S, "currency": _S, "nav": DEC, "cash": DEC, "gross": DEC, "flow": DEC},
    "denials": {"ts": TS, "book": _S, "client_order_id": _S, "instrument_id": _S, "action": _S, "reason": _S},
}  # fmt: skip
"""Table name -> column -> type, as `runs/<id>/<name>.parquet` holds them."""
