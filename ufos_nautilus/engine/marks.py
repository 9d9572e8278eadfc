"""The price a position is valued at: the midpoint, else the last trade, else the last bar's close."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model import AggregationSource, InstrumentId


def mid_price(cache: Any, instrument_id: InstrumentId) -> Decimal | None:
    """Return the mark of an instrument in price units, exactly; None where there was no market data yet."""
    quote = cache.quote(instrument_id)
    if quote is not None:
        return (quote.bid_price.as_decimal() + quote.ask_price.as_decimal()) / 2
    if cache.has_order_book(instrument_id) and (top := cache.top_of_book(instrument_id)) is not None:
        return (top[0].as_decimal() + top[2].as_decimal()) / 2
    trade = cache.trade(instrument_id)
    if trade is not None:
        return trade.price.as_decimal()
    bars = [cache.bar(t) for t in cache.bar_types(AggregationSource.EXTERNAL, instrument_id=instrument_id)]
    latest = max((b for b in bars if b is not None), key=lambda b: b.ts_init, default=None)
    return None if latest is None else latest.close.as_decimal()
