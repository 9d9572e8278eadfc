"""A small market that follows a script: what limits, actions and restrictions do, second by second, in an engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
    QuoteTick,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

from ufos_nautilus.crossing.chain import ChainReader
from ufos_nautilus.engine.book import Book, BookConfig
from ufos_nautilus.engine.drill_books import VENUE, drill_instruments
from ufos_nautilus.engine.gate import GateDenial
from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.engine.risk_audit import RISK_FILE, RiskAudit
from ufos_nautilus.engine.risk_setup import RiskParts, make_risk
from ufos_nautilus.errors import RunFailedError
from ufos_nautilus.risk.fixed import from_fixed
from ufos_nautilus.risk.rules_file import parse_rules

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
"""Time between two quotes of an instrument."""
BOOK = "AM-DRILL"
CAPITAL = Decimal(100_000)
Path_ = Callable[[int, float], Decimal]
"""Price of an instrument by its number and the second."""


class Trader(Book[BookConfig]):
    """Does what the script says, when it says it."""

    Config: ClassVar[type[BookConfig]] = BookConfig

    def __init__(self, config: BookConfig) -> None:
        super().__init__(config)
        self.script: list[tuple[float, Callable[[Stage], None]]] = []
        self.stage: Any = None
        self.now_ns = START_NS
        self.events: list[tuple[float, str, str]] = []
        self.denials: list[GateDenial] = []

    def on_start(self) -> None:
        """Subscribe, and wait for the script's times."""
        for spec in self.stage.instruments:
            self.subscribe_quotes(InstrumentId.from_str(spec.instrument_id))

    def on_quote(self, quote: Any) -> None:
        """Do what is due."""
        self.now_ns = quote.ts_init
        while self.script and self.stage.second >= self.script[0][0]:
            self.script.pop(0)[1](self.stage)

    def on_order_event(self, event: Any) -> None:
        """Remember what became of orders."""
        self.events.append(((event.ts_init - START_NS) / 1e9, type(event).__name__, str(event.client_order_id)))

    def on_gate_denial(self, denial: GateDenial) -> None:
        """Remember what was denied."""
        self.denials.append(denial)

    def market(self, number: int, units: int) -> Any:
        """Send a market order, a sale where units are negative; return it."""
        side = OrderSide.BUY if units > 0 else OrderSide.SELL
        order = self.order_factory.market(self.name(number), side, Quantity.from_str(str(abs(units))))
        self.submit_order(order)
        return order

    def limit(self, number: int, units: int, price: str) -> Any:
        """Send a limit order; return it."""
        side = OrderSide.BUY if units > 0 else OrderSide.SELL
        size = Quantity.from_str(str(abs(units)))
        order = self.order_factory.limit(self.name(number), side, size, Price.from_str(price))
        self.submit_order(order)
        return order

    def name(self, number: int) -> InstrumentId:
        """Return an instrument's id."""
        return InstrumentId.from_str(self.stage.instruments[number].instrument_id)


@dataclass(slots=True)
class Stage:
    """The running market, for the script's steps."""

    instruments: list[Any]
    book: Trader
    risk: RiskParts
    engine: Any

    @property
    def second(self) -> float:
        """Return seconds since the start."""
        return (self.book.now_ns - START_NS) / 1e9


@dataclass(slots=True)
class Played:
    """What came of a script."""

    records: list[dict[str, Any]]
    """Of the gate and the watchdog, their hash chain checked."""
    events: list[tuple[float, str, str]]
    denials: list[GateDenial]
    held: dict[str, Decimal]
    figures: dict[str, Any] = field(default_factory=dict)

    def what(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of one kind."""
        return [r for r in self.records if r["what"] == kind]


def play(
    rules: dict[str, Any],
    script: Sequence[tuple[float, Callable[[Stage], None]]],
    directory: Path,
    *,
    seconds: float = 20.0,
    price: Path_ = lambda number, second: Decimal(100),
    account: AccountType = AccountType.MARGIN,
    numbers: int = 3,
    funded: bool = True,
) -> Played:
    """Run a script against limits.

    Parameters
    ----------
    rules : dict
        A limits file's content; `currency` is set.
    script : sequence
        (second, what to do with the stage), in order of time.
    directory : Path
        Where the record is written.
    seconds : float
        Length of the market.
    price : callable
        Bid of an instrument; the offer is a cent above.
    account : AccountType
        Of the venue.
    numbers : int
        Instruments.
    funded : bool
        Whether the limits know what the book starts with.

    """
    instruments = drill_instruments(numbers)
    engine = BacktestEngine(
        BacktestEngineConfig(
            bypass_logging=True,
            logging=LoggerConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate="100000/00:00:01", max_order_modify_rate="100000/00:00:01"
            ),
        )
    )
    usd = Currency.from_str("USD")
    engine.add_venue(
        Venue(VENUE), OmsType.NETTING, account, [Money(float(CAPITAL), usd)], base_currency=usd,
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )  # fmt: skip
    for spec in instruments:
        engine.add_instrument(to_engine(spec))
    engine.add_data(_quotes([s.instrument_id for s in instruments], seconds, price))
    book = Trader(BookConfig(book_id=BOOK))
    risk = make_risk(
        parse_rules({"currency": "USD", "watch_interval_s": 0.5, **rules}), [book], {BOOK: "strategy"},
        {BOOK: [(VENUE, "USD", CAPITAL)]} if funded else {}, {s.instrument_id: s for s in instruments},
        audit=RiskAudit(directory / RISK_FILE, "drill"),
    )  # fmt: skip
    book.stage, book.script = Stage(instruments, book, risk, engine), list(script)
    engine.add_actor(risk.watchdog)
    engine.add_strategy(book)
    engine.run()
    held = {str(p.instrument_id): _signed(p) for p in engine.cache.positions_open()}
    failure = book.failure or risk.watchdog.failure
    engine.dispose()
    figures = risk.finish()
    if failure is not None:
        raise RunFailedError(f"the script failed: {failure}") from failure
    own = {s.instrument.id: from_fixed(s.position) for s in risk.gate.firm.held() if s.position}
    if own != held:
        raise RunFailedError(f"the gate counts {own}, the engine {held}")
    records = list(ChainReader(directory / RISK_FILE))
    return Played(records, book.events, book.denials, held, figures)


def _signed(position: Any) -> Decimal:
    units = position.quantity.as_decimal()
    return units if position.side == PositionSide.LONG else -units


def _quotes(names: list[str], seconds: float, price: Path_) -> list[QuoteTick]:
    size, out = Quantity.from_str("1000000"), []
    for step in range(int(seconds * 1e9) // STEP_NS):
        at = START_NS + step * STEP_NS
        for number, name in enumerate(names):
            bid = price(number, step * STEP_NS / 1e9)
            prices = Price.from_str(f"{bid:.2f}"), Price.from_str(f"{bid + Decimal('0.01'):.2f}")
            out.append(QuoteTick(InstrumentId.from_str(name), *prices, size, size, at, at))
    return out
