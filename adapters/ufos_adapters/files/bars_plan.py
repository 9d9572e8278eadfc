"""How a file of bars or ticks is to be read: its columns, its clock and its instrument, from options and presets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from ufos_adapters.files.sources import check_options, decimal_option
from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.instruments import InstrumentKind
from ufos_nautilus.market.recording import ReadOptions

Layout = Literal["ohlcv", "bid_ask", "ticks"]

PRICES: Final = ("open", "high", "low", "close")
SIDES: Final = ("bid", "ask")
COLUMNS: Final[dict[Layout, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "ohlcv": (PRICES, ("volume",)),
    "bid_ask": (tuple(f"{s}_{p}" for s in SIDES for p in PRICES), ("bid_size", "ask_size")),
    "ticks": (SIDES, ("bid_size", "ask_size")),
}
"""Layout -> the columns it must have, besides ``time``, and those it may have."""
TIME_NAMES: Final = ("time", "timestamp", "datetime", "date", "open_time", "ts")
"""Headers taken for the time where no option names it."""
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "header": ("yes", "no"),
    "price_type": ("LAST", "BID", "ASK", "MID"),
    "stamp": ("open", "close"),
    "kind": ("equity", "currency_pair", "crypto_perpetual"),
    "volume_unit": ("base", "quote"),
    "crossed": ("drop", "keep"),
}
SETTINGS: Final = (*CHOICES, "separator", "time_format", "tz", "bar_spec", "venue", "base", "quote", "default_size")
PRESETS: Final[dict[str, dict[str, str]]] = {
    "fxcm": {
        "time": "timestamp",
        **dict(zip(PRICES, PRICES, strict=True)),
        "bar_spec": "1-MINUTE",
        "kind": "currency_pair",
        "venue": "FXCM",
        "symbol": r"fxcm_(?P<symbol>[a-z]{6})_",
    },
    "oanda-daily": {
        "header": "no",
        "time": "1",
        **{f"bid_{price}": str(n) for n, price in enumerate(PRICES, 2)},
        "bid_size": "6",
        **{f"ask_{price}": str(n) for n, price in enumerate(PRICES, 7)},
        "ask_size": "11",
        "time_format": "%Y%m%d %H:%M",
        "bar_spec": "1-DAY",
        "kind": "currency_pair",
        "venue": "OANDA",
        "symbol": r"(?:.*_)?(?P<symbol>[a-z]{6})\.",
    },
    "histdata-ticks": {
        "header": "no",
        "time": "1",
        "bid": "2",
        "ask": "3",
        "time_format": "%Y%m%d %H%M%S%3f",
        "tz": "Etc/GMT+5",
        "kind": "currency_pair",
        "venue": "HISTDATA",
        "symbol": r"(?:.*_)?(?P<symbol>[a-z]{6})_",
    },
}
"""Ready-made options for well-known files; options given beside them win."""
SIZE_WHERE_NONE: Final = "1000000"
"""Size of a currency pair's quotes and bars that come without one: in a market without size nothing trades."""
_CURRENCIES: Final = frozenset(
    ("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "CNH", "XAU", "XAG")
)
_STABLE: Final = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR")
_OFFSET: Final = re.compile(r"UTC([+-])(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read one import's files.

    Parameters
    ----------
    layout : Layout
        Bars of one price, bars of both sides in a row, or ticks of both sides.
    columns : dict
        Our name -> the file's header, or its number from 1 where there is no header; empty: headers are our names.
    settings : dict
        What `SETTINGS` names; absent where not given.
    symbol : str
        Pattern that finds the symbol in a file's name; empty where the instrument id must be given.

    """

    layout: Layout
    columns: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    symbol: str = ""

    def get(self, name: str, default: str = "") -> str:
        """Return a setting."""
        return self.settings.get(name, default)

    @property
    def header(self) -> bool:
        """Tell whether the first line names the columns."""
        return self.get("header", "yes") == "yes"

    @property
    def zone(self) -> str:
        """Return the time zone of times that name none."""
        return self.get("tz", "UTC")


def make_plan(options: ReadOptions) -> Plan:
    """Read the options of the ``bars`` format.

    Raises
    ------
    SpecError
        An option is unknown, has a wrong value, or does not go with another.

    """
    every = {"time", "preset", *SETTINGS, *(name for must, may in COLUMNS.values() for name in (*must, *may))}
    given = check_options(options, "bars", every)
    preset = given.get("preset", "")
    if preset and preset not in PRESETS:
        raise SpecError(f"there is no preset {preset!r}", expected=f"one of {', '.join(PRESETS)}")
    merged = {**PRESETS.get(preset, {}), **{k: v for k, v in given.items() if k != "preset"}}
    for name, allowed in CHOICES.items():
        if merged.get(name, allowed[0]) not in allowed:
            raise SpecError(f"option {name} is {merged[name]!r}", expected=" | ".join(allowed))
    if "default_size" in merged:
        decimal_option("default_size", merged["default_size"])
    if len(merged.get("separator", ",")) != 1:
        raise SpecError(f"option separator is {merged['separator']!r}", expected="one character")
    columns = {k: v for k, v in merged.items() if k == "time" or any(k in (*a, *b) for a, b in COLUMNS.values())}
    settings = {k: v for k, v in merged.items() if k in SETTINGS}
    if "tz" in settings:
        settings["tz"] = _fixed_offset(settings["tz"])
    plan = Plan(_layout(columns), columns, settings, merged.get("symbol", ""))
    _check_columns(plan)
    return plan


def _layout(columns: Mapping[str, str]) -> Layout:
    if "bid" in columns or "ask" in columns:
        return "ticks"
    return "bid_ask" if any(f"{side}_open" in columns for side in SIDES) else "ohlcv"


def _check_columns(plan: Plan) -> None:
    must, may = COLUMNS[plan.layout]
    wrong = set(plan.columns) - {"time", *must, *may}
    missing = [name for name in ("time", *must) if name not in plan.columns]
    if wrong:
        raise SpecError(f"column {min(wrong)!r} does not go with the others", expected=", ".join(("time", *must, *may)))
    if missing and (plan.columns.keys() - {"time", "volume"} or not plan.header):
        if plan.header and missing == ["time"]:
            return
        raise SpecError(
            f"no column given for {', '.join(missing)}",
            expected="each of " + ", ".join(("time", *must)),
            next_step="add --option NAME=HEADER (or its number from 1 where header=no)",
        )
    if not plan.header and any(not v.isdigit() or v == "0" for v in plan.columns.values()):
        raise SpecError("columns of a file without header are given by number", expected="1, 2, 3 ...")


def _fixed_offset(zone: str) -> str:
    """Translate ``UTC-5`` to the time zone database's name, whose sign is the other way round."""
    named = _OFFSET.fullmatch(zone)
    if not named:
        return zone
    hours = int(named[2])
    return f"Etc/GMT{'-' if named[1] == '+' else '+'}{hours}" if hours else "UTC"


def kind_and_currencies(symbol: str, plan: Plan) -> tuple[InstrumentKind, str, str]:
    """Return instrument kind, base and quote currency, from the options or else from the symbol.

    ``GBPUSD`` and ``GBP/USD`` are currency pairs, ``BTCUSDT-PERP`` a perpetual; anything else an equity in USD.

    Raises
    ------
    SpecError
        Base and quote can't be told from the symbol.

    """
    plain = symbol.replace("/", "")
    pair = (plain[:3], plain[3:]) if len(plain) == 6 else ("", "")
    kind = plan.get("kind")
    if not kind:
        is_pair = pair[0] in _CURRENCIES and pair[1] in _CURRENCIES
        kind = "crypto_perpetual" if symbol.endswith("-PERP") else "currency_pair" if is_pair else "equity"
    if kind == "equity":
        base, quote = symbol, "USD"
    elif kind == "currency_pair" and pair[0]:
        base, quote = pair
    else:
        root = plain.removesuffix("-PERP")
        quote = next((code for code in _STABLE if root.endswith(code) and root != code), "")
        base = root.removesuffix(quote) if quote else ""
    base, quote = plan.get("base", base), plan.get("quote", quote)
    if not base or not quote:
        raise SpecError(
            f"the currencies of {symbol} are not known", expected="--option base=BTC --option quote=USDT, for example"
        )
    return cast("InstrumentKind", kind), base, quote
