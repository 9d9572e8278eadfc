"""The newest price of an instrument as the gate needs it: a whole number of 10^-16, and when it was made."""

from typing import Any

from nautilus_trader.model import AggregationSource, InstrumentId


def newest_price(cache: Any, instrument_id: InstrumentId) -> tuple[int, int] | None:
    """Return the midpoint, else the last trade, else the last bar's close, with its time; None before any."""
    quote = cache.quote(instrument_id)
    if quote is not None:
        return (quote.bid_price.raw + quote.ask_price.raw) // 2, quote.ts_init
    trade = cache.trade(instrument_id)
    if trade is not None:
        return trade.price.raw, trade.ts_init
    bars = [cache.bar(t) for t in cache.bar_types(AggregationSource.EXTERNAL, instrument_id=instrument_id)]
    latest = max((b for b in bars if b is not None), key=lambda b: b.ts_init, default=None)
    return None if latest is None else (latest.close.raw, latest.ts_init)
