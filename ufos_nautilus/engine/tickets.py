"""Writes down every ticket with the market it met on arrival and, after the run, where its pieces were filled."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import polars as pl
from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, InstrumentId

from ufos_nautilus.crossing.residual import market_instruction
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.house import HouseTrade
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.run_schemas import DEC, SCHEMAS, TICKET_TAG

TICKETS_FILE = "tickets.parquet"
ROUTES = {"cross": "crossed", "desk": "desk", "market": "market"}
"""Route of a piece -> column of its quantity."""
_LEG = {"client_order_id": pl.String, "route": pl.String, "transfer_fee": pl.String}
_COMPUTED = len(SCHEMAS["tickets"]) - list(SCHEMAS["tickets"]).index("crossed")


class TicketRecorder(InTurn, Guarded, DataActor):
    """Keeps one row per ticket.

    Parameters
    ----------
    log : callable
        Takes a row of table `tickets`.
    market : callable
        Instrument id -> best bid and ask as text, or None each.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("TICKETS-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(self, log: Callable[[tuple[Any, ...]], None], market: Callable[[Any], tuple[Any, Any]]) -> None:
        self._log = log
        self._market = market
        self._legs: list[tuple[str, str, str]] = []
        """Order of a leg inside the house, its route, and what it paid the house."""

    def on_start(self) -> None:
        """Listen to the house."""
        self.overhear("house.trades", self.on_house_trade)

    def on_house_trade(self, trade: HouseTrade) -> None:
        """Remember by which route two orders were filled."""
        fee = str(trade.fee)
        self._legs += ((trade.buy_order, trade.route, fee), (trade.sell_order, trade.route, fee))

    def record(self, book_id: str, ticket: Ticket) -> None:
        """Write a ticket as it is sent, with the market of that moment."""
        bid, ask = self._market(InstrumentId.from_str(ticket.instrument))
        self._log(
            (
                ticket.ts_ns,
                ticket.order_id,
                ticket.parent_id,
                book_id,
                ticket.beneficiary,
                ticket.client_id,
                ticket.desk_id,
                ticket.strategy_tag,
                ticket.instrument,
                ticket.intent_side,
                str(ticket.quantity),
                None if ticket.limit is None else str(ticket.limit),
                ticket.internalization_flag,
                market_instruction(ticket)[0],
                bid,
                ask,
                *(None,) * _COMPUTED,
            )
        )

    def finish(self, directory: Path) -> dict[str, Any]:
        """Add to the stored tickets what fills and orders say of them, and return their sums for the run's summary."""
        path = directory / TICKETS_FILE
        tickets = pl.read_parquet(path)
        if tickets.is_empty():
            return {"count": 0, "quantity": "0", "unfilled": "0"}
        orders, fills = (pl.read_parquet(directory / f"{name}.parquet") for name in ("orders", "fills"))
        routed = routed_tickets(tickets, orders, fills, self._legs)
        routed.write_parquet(path, compression="zstd")
        sums = {name: plain(Decimal(str(routed[name].sum()))) for name in ("quantity", "unfilled")}
        return {"count": routed.height, **sums}


def routed_tickets(
    tickets: pl.DataFrame, orders: pl.DataFrame, fills: pl.DataFrame, legs: list[tuple[str, str, str]]
) -> pl.DataFrame:
    """Fill the columns of table `tickets` that say where pieces were filled.

    Parameters
    ----------
    tickets, orders, fills : polars.DataFrame
        Tables of a run.
    legs : list of (str, str, str)
        For each order inside the house: its id, ``"cross"`` or ``"desk"``, and what it paid the house.

    """
    schema = SCHEMAS["tickets"]
    pieces = _pieces(orders, fills, legs)
    sums = [
        pl.col(value).filter(pl.col("route") == route).sum().cast(DEC).alias(name)
        for route, column in ROUTES.items()
        for value, name in (("quantity", column), ("value", f"{column}_value"))
    ]
    sums += [
        pl.col("commission").sum(),
        pl.col("commission_currency").first(),
        pl.col("transfer_fee").sum(),
        pl.col("ts").max().alias("ts_filled"),
    ]
    found = pieces.group_by("order_id", "book").agg(sums)
    known = [c for c in schema if c not in found.columns or c in ("order_id", "book")]
    zero = [c for c in found.columns if schema[c] == DEC]
    return (
        tickets.select(known)
        .join(found, on=["order_id", "book"], how="left", maintain_order="left")
        .with_columns(pl.col(zero).fill_null(0))
        .with_columns((pl.col("quantity") - pl.col("crossed") - pl.col("desk") - pl.col("market")).alias("unfilled"))
        .select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    )


def _pieces(orders: pl.DataFrame, fills: pl.DataFrame, legs: list[tuple[str, str, str]]) -> pl.DataFrame:
    """Return the fills of tickets with their ticket, route and transfer fee."""
    # The ticket's tag is the last of an order, and a ticket's id may hold commas.
    ticket = pl.col("tags").str.extract(f"(?:^|,){TICKET_TAG}(.+)$").alias("order_id")
    owned = orders.select("client_order_id", ticket).filter(pl.col("order_id").is_not_null())
    inside = pl.DataFrame(legs, schema=_LEG, orient="row")
    return (
        fills.join(owned, on="client_order_id", how="inner", maintain_order="left")
        .join(inside.with_columns(pl.col("transfer_fee").cast(DEC)), on="client_order_id", how="left")
        .with_columns(
            pl.col("route").fill_null("market"),
            (pl.col("price") * pl.col("quantity")).cast(DEC).alias("value"),
        )
    )
