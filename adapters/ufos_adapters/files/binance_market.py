"""What a raw Binance recording says about its instrument: market, currencies, price grid and clock."""

from decimal import Decimal
from typing import Final, Literal

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import decimals

Market = Literal["spot", "usdm", "cm"]

NS_PER_MS: Final = 1_000_000
VENUE: Final = "BINANCE"
_QUOTES: Final = (
    *("USDT", "FDUSD", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "RLUSD", "XUSD", "BFUSD", "USDE", "DAI", "PAX"),
    *("BTC", "ETH", "BNB", "SOL", "XRP", "TRX", "DOGE", "DOT", "EUR", "EURI", "AEUR", "GBP", "TRY", "BRL", "AUD"),
    *("JPY", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "MXN", "CZK", "COP", "IDR", "IDRT", "BIDR", "BKRW"),
    *("VAI", "USD"),
)
_CONTRACT_USD: Final = {"BTC": Decimal(100)}
_CONTRACT_USD_OTHER: Final = Decimal(10)


def market_of(symbol: str, *, futures: bool, coin: bool) -> Market:
    """Tell the market: only coin-margined messages name a pair beside the symbol, only futures chain by `pu`."""
    if coin or (futures and "USD_" in symbol):
        return "cm"
    return "usdm" if futures else "spot"


def clock_shift_ns(least_latency_ns: int | None) -> int:
    """Return the least whole number of milliseconds, in ns, that makes the least latency positive; 0 where it is."""
    if least_latency_ns is None or least_latency_ns > 0:
        return 0
    return (-least_latency_ns // NS_PER_MS + 1) * NS_PER_MS


def instrument(
    market: Market, symbol: str, steps: tuple[Decimal, Decimal, Decimal], options: ReadOptions
) -> InstrumentSpec:
    """Describe the instrument.

    Parameters
    ----------
    market, symbol : str
        As the messages have it.
    steps : tuple of Decimal
        Steps of all prices, of traded sizes and of all sizes. Resting sizes off the lot occur (left from other lot
        sizes): the size precision covers them, the lot does not.
    options : ReadOptions
        Overrides the id, the tick and the lot.

    Raises
    ------
    DataError
        A delivery contract, or a symbol whose currencies are unknown.
    SpecError
        A tick or lot that is no positive number.

    """
    tick, lot = given_steps(options)
    tick = tick or steps[0]
    lot = lot or Decimal(1).scaleb(-decimals(steps[1]))
    base, quote = currencies(market, symbol)
    coin = market == "cm"
    name = symbol if market == "spot" else f"{base}{quote}-PERP"
    return InstrumentSpec(
        instrument_id=options.instrument_id or f"{name}.{VENUE}",
        kind="currency_pair" if market == "spot" else "crypto_perpetual",
        base=base,
        quote=quote,
        settlement=base if coin else quote,
        tick_size=tick,
        lot_size=lot,
        price_precision=decimals(tick),
        size_precision=max(decimals(lot), decimals(steps[2])),
        multiplier=_CONTRACT_USD.get(base, _CONTRACT_USD_OTHER) if coin else Decimal(1),
        inverse=coin,
    )


def given_steps(options: ReadOptions) -> tuple[Decimal | None, Decimal | None]:
    """Return the tick and the lot that the options give; raises SpecError where one is no positive number."""
    return _given("tick", options.tick_size), _given("lot", options.lot_size)


def _given(name: str, text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise SpecError(f"--{name} is {text!r}", expected="a decimal such as 0.01") from error
    if not value.is_finite() or value <= 0:
        raise SpecError(f"--{name} is {text!r}", expected="a positive decimal such as 0.01")
    return value


def currencies(market: Market, symbol: str) -> tuple[str, str]:
    """Split a symbol into base and quote currency.

    Raises
    ------
    DataError
        A delivery contract, or an unknown quote currency.

    """
    pair, _, delivery = symbol.partition("_")
    if delivery not in ("", "PERP"):
        raise DataError(
            f"{symbol} is a delivery contract",
            expected="spot or a perpetual",
            next_step="import a recording of the perpetual",
        )
    quotes = ("USD",) if market == "cm" else sorted(_QUOTES, key=len, reverse=True)
    for quote in quotes:
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair.removesuffix(quote), quote
    raise DataError(
        f"can't tell base and quote currency of {symbol}", expected="a symbol such as BTCUSDT or BTCUSD_PERP"
    )
