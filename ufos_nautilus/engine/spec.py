"""The run spec: which data, venues, books and limits one run has, validated before anything starts."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from ufos_nautilus.limits import ACTORS_PER_RUN_MAX, ALGORITHMS_MAX, BOOKS_PER_RUN_MAX, CHUNK_ROWS_DEFAULT
from ufos_nautilus.risk.rules import RiskRules
from ufos_nautilus.risk.rules_file import load_rules

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,64}$")]
BookId = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*-[A-Z0-9-]{1,32}$")]


def _amount(text: str) -> str:
    number, _, code = text.partition(" ")
    if number.startswith("-"):
        raise ValueError(f"the amount {text!r} is negative; write an amount of zero or more")
    if not re.fullmatch(r"[0-9][0-9_]*(\.[0-9]+)?", number) or not re.fullmatch(r"[A-Z0-9]{2,12}", code):
        raise ValueError(f"{text!r} is no amount with a currency; write it like '1_000_000 USDT'")
    return text.replace("_", "")


def _limits(value: Any) -> Any:
    return load_rules(Path(value)) if isinstance(value, str) else value


Amount = Annotated[str, AfterValidator(_amount)]
TableName = Literal["order_book_deltas", "quotes", "trades", "bars"]


class SpecModel(BaseModel):
    """Base of all parts of a spec: immutable, unknown keys refused, docstrings become schema descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SyntheticSpec(SpecModel):
    """A generated market instead of a recorded one."""

    kind: Literal["single", "pair", "universe", "daily"] = "single"
    """One instrument with an L2 book, two of which one leads, equities with NBBO quotes, or equities as daily bars."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the market alone; the run's own seed drives fill models."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the generator, by name; units in the names (see `ufos data generate --help`)."""


class BarQuotesSpec(SpecModel):
    """Quotes made from bars where none were recorded: one at each bar's open and one at its close."""

    half_spread_bps: Decimal = Field(default=Decimal(2), ge=0, le=1_000)
    """Half the spread, basis points of price, rounded up to whole ticks; at least one tick each side."""
    size_share: Decimal = Field(default=Decimal("0.01"), gt=0, le=1)
    """Share of the bar's volume shown on each side."""
    open_before_s: float = Field(default=23_400.0, ge=0, le=31 * 86_400)
    """Seconds from a bar's open to its end; the default is the regular US session. 0 leaves the open out."""


class DataSpec(SpecModel):
    """Where market data comes from: a catalog directory or a generated market, exactly one of them."""

    catalog: str = ""
    """Catalog directory, relative to where the command runs."""
    synthetic: SyntheticSpec | None = None
    """A generated market; kept in a catalog of its own, keyed by its parameters."""
    instruments: list[Identifier] = Field(default_factory=list)
    """Instrument ids to load; empty for all of the catalog."""
    tables: list[TableName] = Field(default_factory=list)
    """Kinds of table to load; empty for all there are."""
    quotes_from_bars: BarQuotesSpec | None = None
    """Make quotes from the bars of these instruments; kept in a catalog of their own, keyed by bars and terms."""
    start: datetime | None = None
    """First instant (UTC), inclusive."""
    end: datetime | None = None
    """Last instant (UTC), inclusive."""

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        if bool(self.catalog) == (self.synthetic is not None):
            raise ValueError("name either a catalog or a synthetic market, not both and not neither")
        for name in ("start", "end"):
            at: datetime | None = getattr(self, name)
            if at is not None and at.tzinfo is None:
                raise ValueError(f"{name} has no time zone; write it like 2024-08-09T00:00:00Z")
        if self.start and self.end and self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class FeeSpec(SpecModel):
    """Commission of a venue."""

    model: Literal["maker_taker", "fixed", "per_contract"] = "maker_taker"
    """Rates on notional, a fixed amount per order, or an amount per unit traded."""
    maker_rate: Decimal = Decimal(0)
    """Fraction of notional; negative is a rebate. `maker_taker` only."""
    taker_rate: Decimal = Decimal(0)
    """Fraction of notional. `maker_taker` only."""
    amount: Amount | None = None
    """Commission with currency, for example "0.35 USD". `fixed` and `per_contract` only."""

    @model_validator(mode="after")
    def _amount_where_needed(self) -> FeeSpec:
        if (self.model == "maker_taker") == (self.amount is not None):
            raise ValueError("amount belongs to the models fixed and per_contract, and they need it")
        if not all(abs(rate) < 1 for rate in (self.maker_rate, self.taker_rate)):
            raise ValueError("rates are fractions of notional, so 2 basis points are 0.0002")
        return self


class LatencySpec(SpecModel):
    """Time from decision to venue, each on top of `base_ms`."""

    base_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Milliseconds added to every command."""
    insert_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Milliseconds more for a new order."""
    update_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Milliseconds more for a modification."""
    cancel_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Milliseconds more for a cancel."""


class FillSpec(SpecModel):
    """How resting limit orders and slippage are simulated."""

    prob_fill_on_limit: float = Field(default=1.0, ge=0, le=1)
    """Probability that a resting order fills when the market touches its price."""
    prob_slippage: float = Field(default=0.0, ge=0, le=1)
    """Probability that a market order slips one tick (top-of-book venues)."""


class FundingSpec(SpecModel):
    """What positions in a perpetual pay each other."""

    instrument_id: Identifier
    """The perpetual."""
    rate: Decimal = Field(gt=-1, lt=1)
    """Share of a position's value that a long pays and a short receives at each funding; negative the other way."""
    interval_s: float = Field(default=28_800.0, ge=1, le=31_536_000)
    """Seconds between fundings, counted from midnight UTC."""


class VenueSpec(SpecModel):
    """A simulated venue and the account held there."""

    name: Name
    """The part after the dot in instrument ids."""
    account: Literal["cash", "margin"] = "margin"
    """Account type."""
    balances: list[Amount] = Field(min_length=1)
    """Starting balances, for example ["1_000_000 USDT"]."""
    base_currency: str | None = None
    """Set for a single-currency account."""
    leverage: Decimal = Field(default=Decimal(1), ge=1, le=200)
    """Default leverage of a margin account."""
    book: Literal["L1", "L2", "L3"] = "L1"
    """Depth that orders are matched against: top of book (quotes, bars), levels or single orders (deltas)."""
    fees: FeeSpec = FeeSpec()
    """Commission."""
    latency: LatencySpec = LatencySpec()
    """Order latency."""
    fill: FillSpec = FillSpec()
    """Fill simulation."""
    queue_position: bool = True
    """Resting orders wait behind the volume that was at their price first."""
    liquidity_consumption: bool = True
    """Displayed volume can be taken once per book update."""
    trade_execution: bool = True
    """Trades of the market fill resting orders at their price."""
    bar_execution: bool = True
    """Bars move the market where there are no quotes or trades."""
    allow_borrowing: bool = False
    """A cash account may go negative."""
    funding: list[FundingSpec] = Field(default_factory=list, max_length=1_000)
    """Fundings of perpetuals; none unless named."""


class FlowSpec(SpecModel):
    """Money that an owner puts into a book or takes out."""

    at: datetime
    """When (UTC); a withdrawal waits, a day at a time, until the book has the cash."""
    deposit: Amount | None = None
    """What comes in, for example "50_000 USD"."""
    withdraw: Amount | None = None
    """What goes out."""

    @model_validator(mode="after")
    def _one_way(self) -> FlowSpec:
        if (self.deposit is None) == (self.withdraw is None):
            raise ValueError("a flow is either a deposit or a withdrawal")
        if self.at.tzinfo is None:
            raise ValueError("at has no time zone; write it like 2014-03-03T00:00:00Z")
        return self


class BookSpec(SpecModel):
    """One book: a sub-ledger run by one strategy class."""

    id: BookId
    """Upper-case name with a dash, for example MM-BTC."""
    kind: Literal["desk", "client", "strategy", "house"] = "strategy"
    """Whose book it is."""
    class_path: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """Where the class lives, for example ufos_strategies.market_maker:MarketMaker."""
    capital: list[Amount] = Field(default_factory=list)
    """What the book starts with, out of its venue's balance, for example ["250000 USD"]; the rest is the house's."""
    allocation_pct: Decimal | None = Field(default=None, gt=0, le=100)
    """Capital as a share of what the venue holds beside all declared capital, percent, instead of `capital`."""
    flows: list[FlowSpec] = Field(default_factory=list, max_length=1_000)
    """Deposits and withdrawals of its owner."""
    venue: str = ""
    """Where its capital lies; the first venue unless named."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the class; validated by its own config model."""


class ActorSpec(SpecModel):
    """A component that watches the market and publishes what it sees, without orders of its own."""

    id: BookId
    """Upper-case name with a dash, for example LEAD-LAG."""
    class_path: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """Where the class lives, for example ufos_strategies.actors.lead_lag:LeadLag."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the class; validated by its own config model."""


class RiskSpec(SpecModel):
    """The engine's own order checks."""

    order_submits_per_s: int = Field(default=10_000, ge=1, le=1_000_000)
    """Orders per second before the engine denies one; its own default of 100 starves market makers silently."""
    order_modifies_per_s: int = Field(default=10_000, ge=1, le=1_000_000)
    """Modifications per second before the engine denies one."""


class CrossingSpec(SpecModel):
    """Orders that meet inside the house."""

    enabled: bool = True
    """False sends every ticket to the market: the control."""
    instruments: list[Identifier] = Field(default_factory=list)
    """Lit instruments whose tickets cross; empty for all equities and linear contracts of the run."""
    window_s: float = Field(default=5.0, ge=0, le=86_400)
    """How long a ticket rests in the pool before the desk is asked for the rest; 0 asks at once."""
    age_limit_ms: float = Field(default=1_000.0, gt=0)
    """A best bid or offer older than this is stale and crosses nothing."""
    min_improvement: Decimal = Field(default=Decimal(0), ge=0)
    """Least improvement against the touch per side, price units."""
    fee_bps: Decimal = Field(default=Decimal(0), ge=0)
    """Transfer fee of each side of a cross, basis points of its value, paid to the house."""
    min_quantity: Decimal = Field(default=Decimal(0), ge=0)
    """No cross is smaller."""


ClassPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
DEFAULT_ALGORITHMS: Final = ["ufos_strategies.algorithms.pov:Pov", "ufos_strategies.algorithms.vwap:Vwap"]


class LedgerSpec(SpecModel):
    """The double-entry ledger of a run; a server instead of the run's own file is named by UFOS_LEDGER_URL."""

    enabled: bool = True
    """Whether fills are posted and reconciled."""
    corporate_actions: bool = True
    """Whether dividends, spin-offs and splits that the data's manifests know are booked."""
    batch: int = Field(default=1_000, ge=1, le=100_000)
    """Entries made durable at a time; 1 makes each durable before the next event."""


class RecordingSpec(SpecModel):
    """What a run keeps besides orders, fills and positions."""

    sample_interval_s: float = Field(default=1.0, ge=0.001, le=31 * 86_400)
    """Seconds between samples of equity, inventory and the market."""
    nav_interval_s: float = Field(default=0.0, ge=0, le=31 * 86_400)
    """Seconds between samples of every book's net asset value; 0 takes none."""
    nav_offset_s: float = Field(default=0.0, ge=0, lt=86_400)
    """Those samples are taken so many seconds after midnight UTC."""
    markouts: bool = True
    """Look up the market some time after every fill (table `markouts`)."""
    quotes: bool = True
    """Keep every quote decision of a desk."""
    events: bool = False
    """Keep the engine's full event log as Parquet in the run directory."""


class RunSpec(SpecModel):
    """Everything one run depends on besides the code."""

    name: Name
    """Short name of the run; part of its folder's name."""
    mode: Literal["backtest"] = "backtest"
    """Only backtests so far; the same books will serve paper and live."""
    description: str = ""
    """What the run shows."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Drives every random choice of fill models and books."""
    data: list[DataSpec] = Field(min_length=1, max_length=100)
    """Sources, merged in time order."""
    venues: list[VenueSpec] = Field(min_length=1, max_length=50)
    """Venues, one for each venue name in the instrument ids."""
    books: list[BookSpec] = Field(default_factory=list, max_length=BOOKS_PER_RUN_MAX)
    """Books that trade."""
    actors: list[ActorSpec] = Field(default_factory=list, max_length=ACTORS_PER_RUN_MAX)
    """Components that watch the market; they hear of an event before the books do."""
    crossing: CrossingSpec | None = None
    """Present where tickets cross inside the house."""
    algorithms: list[ClassPath] = Field(default_factory=lambda: list(DEFAULT_ALGORITHMS), max_length=ALGORITHMS_MAX)
    """Execution algorithms besides the engine's TWAP, module:Class each; a ticket's instruction names them."""
    ledger: LedgerSpec = LedgerSpec()
    """The double-entry ledger."""
    risk: RiskSpec = RiskSpec()
    """The engine's own order checks."""
    limits: Annotated[RiskRules | None, BeforeValidator(_limits)] = None
    """Limits in front of every order, in place or as the path of a limits file; without them every order passes."""
    recording: RecordingSpec = RecordingSpec()
    """What the run keeps."""
    chunk_rows: int = Field(default=CHUNK_ROWS_DEFAULT, ge=100, le=5_000_000)
    """Market-data rows in memory at a time."""

    @model_validator(mode="after")
    def _unique_names(self) -> RunSpec:
        groups = {"book": self.books, "actor": self.actors}
        named = {what: [part.id for part in parts] for what, parts in groups.items()}
        for what, names in (named | {"venue": [v.name for v in self.venues]}).items():
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} is there twice")
        return self
