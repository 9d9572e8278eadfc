"""Limits as people write them: one TOML file, firm over kind over book over instrument, every value with its unit."""

import hashlib
import json
import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ufos_nautilus.limits import RISK_RULES_MAX
from ufos_nautilus.risk.restrictions import Restriction

BookKind = Literal["desk", "client", "strategy", "house"]


def _amount(text: str) -> str:
    number, _, code = text.partition(" ")
    if not re.fullmatch(r"[0-9][0-9_]*(\.[0-9]{1,16})?", number) or not re.fullmatch(r"[A-Z0-9]{2,12}", code):
        raise ValueError(f"{text!r} is no amount with a currency; write it like '250_000 USD'")
    return text.replace("_", "")


Amount = Annotated[str, AfterValidator(_amount)]
Percent = Annotated[Decimal, Field(gt=0, le=100_000, max_digits=16, decimal_places=8)]
Units = Annotated[Decimal, Field(gt=0, max_digits=28, decimal_places=16)]
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/\-*]{1,64}$")]


class LimitModel(BaseModel):
    """Base of all parts of a limits file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class OrderLimits(LimitModel):
    """What one order may be; of all levels that apply to an order the tightest binds."""

    max_order_notional: Amount | None = None
    """Value of one order."""
    fat_finger_pct: Percent | None = None
    """Distance of an order's price from the last price, percent of the last."""
    max_price_age_s: float | None = Field(default=None, gt=0, le=10_000_000)
    """Age of the last price after which orders that add risk are denied, seconds."""


class InstrumentLimits(OrderLimits):
    """Limits of one instrument, for every book or inside one book."""

    max_order_quantity: Units | None = None
    """Units (or contracts) of one order."""
    max_position: Units | None = None
    """Units a book may be long or short, counting its open orders as filled."""
    sub_industry: str = ""
    """For restrictions, for example "Tobacco"."""
    tags: list[str] = Field(default_factory=list)
    """For restrictions, for example ["weapons"]."""
    liquid_units_per_day: Units | None = None
    """Units traded in a day, for days to exit."""


class FirmInstrumentLimits(InstrumentLimits):
    """Limits of one instrument over the whole firm."""

    max_net_position: Units | None = None
    """Units all books together may be net long or short, open orders counted as filled."""


class LevelLimits(OrderLimits):
    """Limits of the firm, of a kind of book, or of one book, each measured over all that belongs to it."""

    universe: list[Pattern] | None = None
    """Instrument ids that may be bought or sold short, or "*.VENUE"; every level's list must name the instrument."""
    max_gross_notional: Amount | None = None
    """Sum of absolute positions at market, open orders counted as filled."""
    max_net_notional: Amount | None = None
    """Net open position at market over all instruments, open orders counted as filled."""
    max_daily_loss: Amount | None = None
    """Loss since midnight UTC after which nothing may be added."""
    max_drawdown_pct: Percent | None = None
    """Fall from the highest profit, percent of capital, after which nothing may be added."""
    max_concentration_pct: Percent | None = None
    """One instrument's position at market, percent of the book's capital."""
    max_leverage: Decimal | None = Field(default=None, gt=0, le=1000, decimal_places=8)
    """A book's gross position as a multiple of its capital."""
    max_orders_per_s: int | None = Field(default=None, ge=1, le=100_000)
    """Orders in any second."""
    max_modifies_per_s: int | None = Field(default=None, ge=1, le=100_000)
    """Modifications in any second."""
    instruments: dict[str, InstrumentLimits] = Field(default_factory=dict)
    """Per instrument id, for the books of this level."""


class FirmLimits(LevelLimits):
    """Limits of everything together."""

    fat_finger_pct: Percent | None = Decimal(10)
    """Distance of an order's price from the last price, percent of the last."""
    max_margin_use_pct: Percent | None = None
    """Gross position at one venue over leverage, percent of the account's balance there."""
    max_account_age_s: float = Field(default=10.0, gt=0, le=10_000_000)
    """Age of what is known of a venue's account after which orders that add risk are denied, seconds."""


class BookLimits(LevelLimits):
    """Limits of one book."""

    kind: BookKind | None = None
    """Whose book it is, where the caller does not say."""
    capital: Amount | None = None
    """Allocated capital; where absent the run says what the book starts with."""


Level = Literal["warn", "reduce", "hedge", "stop_book", "halt_firm"]
Metric = Literal[
    "daily_loss_pct",
    "drawdown_pct",
    "concentration_pct",
    "leverage",
    "margin_use_pct",
    "gross_notional",
    "net_notional",
    "spread_sigma",
]


class ActionRule(LimitModel):
    """What happens when a figure goes beyond a value."""

    metric: Metric
    """What is watched; percents of capital, money in the file's currency, multiples."""
    above: Decimal = Field(ge=0, max_digits=28, decimal_places=8)
    """Beyond this the action is taken."""
    scope: Literal["firm", "book"] = "book"
    """Watched over each book or over the firm."""
    do: Level
    """What is done."""
    book: str = ""
    """Only this book; every one unless named."""
    reduce_to_pct: Decimal = Field(default=Decimal(50), ge=0, lt=100)
    """`reduce`: positions are cut to this share of what they are."""
    hedge_with: str = ""
    """`hedge`: the instrument that is traded against the net position."""
    hedge_ratio: Decimal = Field(default=Decimal(1), gt=0, le=10)
    """`hedge`: share of the net position that is offset."""
    cooldown_s: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds until the same rule may act on the same book again."""

    @model_validator(mode="after")
    def _hedge_named(self) -> Self:
        if (self.do == "hedge") != bool(self.hedge_with):
            raise ValueError("hedge_with belongs to do = 'hedge', which needs it")
        if self.do in ("reduce", "hedge", "stop_book") and self.scope == "firm":
            raise ValueError(f"do = {self.do!r} acts on a book, so scope is 'book'")
        return self


class SwitchLimits(LimitModel):
    """What halts the firm by itself."""

    loss_pct: Percent | None = Decimal(5)
    """Fall of the firm's equity within the window, percent."""
    loss_window_s: float = Field(default=60.0, gt=0, le=86_400)
    """Length of that window, seconds."""
    max_orders_per_s: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests of one book in any second, let pass or not; more is taken for a loop gone wild."""
    max_rejects_pct: Percent | None = None
    """Share of denied and rejected among the last orders of one book."""
    rejects_over: int = Field(default=100, ge=10, le=10_000)
    """How many orders that share is taken over."""
    flatten: bool = False
    """Close all positions once everything is cancelled."""


class RiskRules(LimitModel):
    """A limits file."""

    version: int = Field(default=1, ge=1)
    """Raised by whoever changes the file."""
    name: str = Field(default="limits", max_length=64)
    """What these limits are called."""
    currency: str = Field(pattern=r"^[A-Z0-9]{2,12}$")
    """Every amount of the file is in it."""
    rates: dict[str, Units] = Field(default_factory=dict)
    """Units of `currency` for one of another currency; orders in a currency without a rate are denied."""
    firm: FirmLimits = FirmLimits()
    """Everything together."""
    kinds: dict[BookKind, LevelLimits] = Field(default_factory=dict)
    """Per kind of book."""
    books: dict[str, BookLimits] = Field(default_factory=dict, max_length=RISK_RULES_MAX)
    """Per book."""
    instruments: dict[str, FirmInstrumentLimits] = Field(default_factory=dict, max_length=RISK_RULES_MAX)
    """Per instrument, for every book."""
    restrictions: list[Restriction] = Field(default_factory=list, max_length=RISK_RULES_MAX)
    """Names clients do not want."""
    actions: list[ActionRule] = Field(default_factory=list, max_length=RISK_RULES_MAX)
    """What happens beyond which figure."""
    switch: SwitchLimits = SwitchLimits()
    """What halts the firm by itself."""
    watch_interval_s: float = Field(default=1.0, gt=0, le=3_600)
    """Time between looks at figures, accounts and marks, seconds."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        stray = sorted({a for a in _amounts(self.model_dump()) if a.rpartition(" ")[2] != self.currency})
        if stray:
            raise ValueError(f"{stray[0]!r} is not in the file's currency {self.currency}")
        ids = [r.id for r in self.restrictions]
        if len(ids) != len(set(ids)):
            raise ValueError(f"restriction {next(i for i in ids if ids.count(i) > 1)!r} is there twice")
        return self

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON."""
        plain = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(plain.encode()).hexdigest()


def _amounts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [a for v in value.values() for a in _amounts(v)]
    if isinstance(value, list):
        return [a for v in value for a in _amounts(v)]
    return [value] if isinstance(value, str) and re.fullmatch(r"[0-9.]+ [A-Z0-9]{2,12}", value) else []
