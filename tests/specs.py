"""Specs of small runs over generated markets, for tests."""

from typing import Any


def market_spec(**changes: Any) -> dict[str, Any]:
    """A spec with one generated market of 30 seconds and the desk, as plain data."""
    spec: dict[str, Any] = {
        "name": "test",
        "seed": 1,
        "data": [{"synthetic": {"kind": "single", "seed": 5, "params": {"duration_s": 30.0}}}],
        "venues": [
            {
                "name": "SIM",
                "balances": ["100000 USDT"],
                "leverage": 10,
                "book": "L2",
                "queue_position": False,
                "latency": {"base_ms": 1.0},
            }
        ],
        "books": [
            {
                "id": "MM-SIM",
                "kind": "desk",
                "class_path": "ufos_strategies.market_maker:MarketMaker",
                "params": {
                    "instrument_id": "SIM-PERP.SIM",
                    "order_size": "1",
                    "max_inventory": "3",
                    "gamma": 0.02,
                    "k_per_tick": 0.2,
                    "warmup_s": 2.0,
                },
            }
        ],
    }
    return spec | changes


def book_spec(class_path: str, **params: Any) -> dict[str, Any]:
    """The same market with one other book."""
    return market_spec(books=[{"id": "BOOK-1", "class_path": class_path, "params": params}])
