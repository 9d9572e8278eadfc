"""The desk: quotes both sides of one instrument around fair value, skewed by inventory (GLFT or Avellaneda-Stoikov)."""

import math
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Literal

from nautilus_trader.model import BookType, InstrumentId, OrderBookDeltas, OrderSide, QuoteTick
from pydantic import Field, model_validator

from ufos_nautilus.crossing.residual import DeskQuote, QuoteRequest
from ufos_nautilus.engine import Book, BookConfig
from ufos_nautilus.pricing.fair_value import mid, weighted_mid
from ufos_nautilus.pricing.quoting import Action, bound_sizes, clamp_post_only, decide, round_outward, widen_to_minimum
from ufos_nautilus.pricing.volatility import EstimatorState, EwmaVolatility
from ufos_strategies.quoters import make_quoter
from ufos_strategies.resting import RestingOrder

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
PRICES_KEPT = 4_096
"""Prices of the last ticks quoted that are kept ready made."""
FAIR_VALUES = {"mid": mid, "weighted_mid": weighted_mid}


class MarketMakerConfig(BookConfig):
    """Parameters of the desk; prices in ticks and sizes in orders, so that they mean the same for any instrument."""

    instrument_id: str
    """What to quote."""
    order_size: Decimal = Field(gt=0)
    """Size of one quote, in units (or contracts) of the instrument."""
    max_inventory: Decimal = Field(gt=0)
    """Largest absolute position; quotes that could exceed it are cut or not sent."""
    quoter: Literal["glft", "glft_closed_form", "avellaneda_stoikov", "symmetric"] = "glft"
    """Model of the depths."""
    fair_value: Literal["mid", "weighted_mid"] = "weighted_mid"
    """What the depths are measured from."""
    gamma: float = Field(default=0.01, gt=0)
    """Risk aversion, per (tick x order)."""
    k_per_tick: float = Field(default=0.3, gt=0)
    """Decay of the fill intensity with depth, per tick."""
    a_per_s: float = Field(default=1.0, gt=0)
    """Fill intensity at zero depth, per second."""
    xi_ticks: float = Field(default=0.0, ge=0)
    """Expected move against the desk at each fill, ticks (GLFT only)."""
    horizon_s: float = Field(default=300.0, gt=0)
    """Rolling horizon of Avellaneda-Stoikov, seconds; GLFT is stationary."""
    volatility_half_life_s: float = Field(default=60.0, gt=0)
    """Half-life of the volatility estimate, seconds."""
    volatility_sample_s: float = Field(default=1.0, ge=0)
    """Shortest time between two prices the estimate compares, seconds."""
    warmup_s: float = Field(default=10.0, ge=0)
    """Seconds of data before the first quote."""
    minimum_spread_ticks: int = Field(default=1, ge=1)
    """Narrowest own spread, ticks."""
    tolerance_ticks: int = Field(default=1, ge=1)
    """Smallest move of a quote that is worth sending, ticks."""
    minimum_interval_ms: float = Field(default=0.0, ge=0)
    """Shortest time between two changes of one side, milliseconds."""
    source: Literal["book", "quotes"] = "book"
    """What drives the quote loop: book events or top-of-book quotes."""
    residual_edge_ticks: float = Field(default=0.0)
    """Least distance from the reservation price at which a client's residual is taken, ticks."""
    cancel_on_stop: bool = True
    """Withdraw all quotes when the desk stops."""

    @model_validator(mode="after")
    def _bound_holds_an_order(self) -> "MarketMakerConfig":
        if self.max_inventory < self.order_size:
            raise ValueError("max_inventory is below order_size, so no quote could ever be sent")
        return self


class MarketMaker(Book[MarketMakerConfig]):
    """Quotes one instrument; one pass of the loop per market event.

    The loop: market -> fair value -> volatility -> depths -> ticks -> minimum spread -> post-only clamp -> sizes within
    the inventory bound -> throttle -> orders. Inventory is counted from own fills in whole lots, and an order is never
    replaced before its cancel is confirmed, so the bound holds whatever the latency.
    """

    Config: ClassVar[type[BookConfig]] = MarketMakerConfig

    def __init__(self, config: MarketMakerConfig) -> None:
        super().__init__(config)
        self.instrument_id = InstrumentId.from_str(config.instrument_id)
        self.suppressed = 0
        """Changes the throttle held back."""
        self.decisions = 0
        """Passes of the loop that reached the throttle."""
        self._fair_value = FAIR_VALUES[config.fair_value]
        self._interval_ns = int(config.minimum_interval_ms * NS_PER_MS)
        self._inventory_lots = 0
        self._market: tuple[float, float, float, float] | None = None
        self._warm = False
        self._requote = False

    def on_start(self) -> None:
        """Read the instrument's grid, build the model, subscribe."""
        p = self.params
        instrument = self.cache.instrument(self.instrument_id)
        if instrument is None:
            raise LookupError(f"{p.instrument_id} is not in the engine")
        self.instrument = instrument
        self._lot = Decimal(str(instrument.size_increment))
        self._tick = Decimal(str(instrument.price_increment))
        self._ticks_per_unit = float(1 / self._tick)
        self._lots_per_unit = float(1 / self._lot)
        self._size_lots = int(p.order_size / self._lot)
        self._bound_lots = int(p.max_inventory / self._lot)
        if self._size_lots < 1:
            raise ValueError(f"order_size {p.order_size} is below the lot {self._lot} of {p.instrument_id}")
        self._orders_per_lot = 1.0 / self._size_lots
        # Looked up at every market event, so kept; prices and their texts are made once per tick of the range quoted.
        self._top_of_book = self.cache.top_of_book
        self.price_at = lru_cache(PRICES_KEPT)(self._price_at)
        self._price_text = lru_cache(PRICES_KEPT)(self._text_of_ticks)
        self._quoter = make_quoter(
            p.quoter,
            gamma=p.gamma,
            k=p.k_per_tick,
            a_per_s=p.a_per_s,
            xi=p.xi_ticks,
            horizon_s=p.horizon_s,
            bound_orders=self._bound_lots // self._size_lots,
        )
        self._volatility = EwmaVolatility(p.volatility_half_life_s, sample_s=p.volatility_sample_s, warmup_s=p.warmup_s)
        self._bid = RestingOrder(self, OrderSide.BUY)
        self._ask = RestingOrder(self, OrderSide.SELL)
        if p.source == "quotes":
            self.subscribe_quotes(self.instrument_id)
        else:
            self.subscribe_book_deltas(self.instrument_id, BookType.L2_MBP, managed=True)

    def on_stop(self) -> None:
        """Withdraw all quotes."""
        if self.params.cancel_on_stop:
            self.cancel_all_orders(self.instrument_id)

    def on_quote(self, quote: QuoteTick) -> None:
        """Run the loop on a change of the top of the book."""
        self._on_top(quote.ts_init, quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Run the loop on a book event; its top comes from the engine's book (copying the book would cost 50 times)."""
        top = self._top_of_book(self.instrument_id)
        if top is not None:
            self._on_top(deltas.ts_init, *top)

    def _on_top(self, now_ns: int, bid: Any, bid_size: Any, ask: Any, ask_size: Any) -> None:
        scale = self._ticks_per_unit
        market = (float(bid) * scale, float(bid_size), float(ask) * scale, float(ask_size))
        if market == self._market and not self._requote:
            return
        self._market, self._requote = market, False
        fair = self._fair_value(*market)
        self._volatility.update(now_ns, fair)
        if not self._warm:
            self._warm = self._volatility.state(now_ns) is not EstimatorState.WARMING_UP
            if not self._warm:
                return
        self._quote(now_ns, fair, round(market[0]), round(market[2]))

    def _quote(self, now_ns: int, fair: float, best_bid: int, best_ask: int) -> None:
        p = self.params
        q = self._inventory_lots
        bid_depth, ask_depth = self._quoter.quote(q * self._orders_per_lot, self._volatility.sigma, p.horizon_s)
        bid, ask = round_outward(fair, bid_depth, ask_depth, 1.0)
        bid, ask = widen_to_minimum(bid, ask, p.minimum_spread_ticks)
        bid, ask = clamp_post_only(bid, ask, best_bid, best_ask)
        bid_lots, ask_lots = bound_sizes(q, self._bound_lots, self._size_lots)
        self.decisions += 1
        changed = self._work(self._bid, bid if bid_lots else None, bid_lots, now_ns)
        changed |= self._work(self._ask, ask if ask_lots else None, ask_lots, now_ns)
        log = self.quote_log
        if changed and log is not None:
            log(self._quote_row(now_ns, fair, best_bid, best_ask))

    def _work(self, order: RestingOrder, wanted: int | None, lots: int, now_ns: int) -> bool:
        resting = order.price_ticks
        if order.pending or wanted == resting:
            return False
        action = decide(resting, wanted, now_ns - order.changed_ns, self._interval_ns, self.params.tolerance_ticks)
        if action is Action.KEEP:
            self.suppressed += 1
            return False
        order.apply(action, wanted, lots, now_ns)
        return True

    def place(self, order: Any) -> None:
        """Send a new quote."""
        self.submit_order(order)

    def move(self, client_order_id: Any, price: Any) -> None:
        """Move a resting quote."""
        self.modify_order(client_order_id, price=price)

    def withdraw(self, client_order_id: Any) -> None:
        """Cancel a resting quote."""
        self.cancel_order(client_order_id)

    def _price_at(self, ticks: int) -> Any:
        return self.instrument.make_price(self._tick * ticks)

    def _text_of_ticks(self, ticks: int) -> str:
        return str(ticks * self._tick)

    def quantity_of(self, lots: int) -> Any:
        """Return the engine's quantity for a whole number of lots."""
        return self.instrument.make_qty(self._lot * lots)

    def _quote_row(self, now_ns: int, fair: float, best_bid: int, best_ask: int) -> tuple[Any, ...]:
        lot, text = self._lot, self._price_text
        bid, ask = self._bid, self._ask
        return (
            now_ns,
            self.params.book_id,
            self.params.instrument_id,
            None if bid.price_ticks is None else text(bid.price_ticks),
            None if bid.price_ticks is None else str(bid.lots * lot),
            None if ask.price_ticks is None else text(ask.price_ticks),
            None if ask.price_ticks is None else str(ask.lots * lot),
            fair / self._ticks_per_unit,
            str(self._inventory_lots * lot),
            text(best_bid),
            text(best_ask),
            "requote",
        )

    # residuals of the house

    def on_quote_request(self, request: QuoteRequest) -> DeskQuote | None:
        """Offer the touch, or the own quote where that is better for the client, if it leaves the asked edge.

        The edge is measured from the reservation price, so a desk that is long buys less eagerly.
        """
        nbbo, p = request.nbbo, self.params
        if self._market is None or nbbo.bid is None or nbbo.ask is None or request.ticket.instrument != p.instrument_id:
            return None
        q, fair = self._inventory_lots, self._fair_value(*self._market)
        depths = self._quoter.quote(q * self._orders_per_lot, self._volatility.sigma, p.horizon_s)
        if depths.bid_depth is None or depths.ask_depth is None:
            return None
        units_per_tick = round(self._tick.scaleb(self.instrument.price_precision))
        reservation = fair + 0.5 * (depths.ask_depth - depths.bid_depth)
        if request.ticket.intent_side == "SELL":
            ticks = max(nbbo.bid // units_per_tick, math.floor(fair - depths.bid_depth))
            edge, room = reservation - ticks, self._bound_lots - q - self._bid.lots
        else:
            ticks = min(-(-nbbo.ask // units_per_tick), math.ceil(fair + depths.ask_depth))
            edge, room = ticks - reservation, self._bound_lots + q - self._ask.lots
        lot_units = round(self._lot.scaleb(self.instrument.size_precision))
        lots = min(room, request.size // lot_units)
        if edge < p.residual_edge_ticks or lots <= 0:
            return None
        return DeskQuote(2 * ticks * units_per_tick, lots * lot_units, p.book_id)

    # own orders

    def on_order_event(self, event: Any) -> None:
        """Follow own orders through their states."""
        super().on_order_event(event)
        order_id = event.client_order_id
        if order_id == self._bid.client_order_id:
            self._bid.on_event(event)
        elif order_id == self._ask.client_order_id:
            self._ask.on_event(event)

    def on_order_filled(self, event: Any) -> None:
        """Count inventory in whole lots."""
        lots = round(float(event.last_qty) * self._lots_per_unit)
        self._inventory_lots += lots if event.order_side == OrderSide.BUY else -lots
        self._requote = True
