"""Books the worked example of a cross in a ledger of its own, to show that it balances."""

from decimal import Decimal
from typing import Any

from ufos_nautilus.crossing.ticket import decimal_text
from ufos_nautilus.ledger import Asset, Contract, Ledger, Leg, cross, deposit, trial_balance
from ufos_nautilus.ledger.views import inventory, nav

SHARES = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))
CAPITAL = Decimal(1_000_000)
INSIDE = "DARK"


def booked(found: dict[str, Any]) -> dict[str, Any]:
    """Return how the ledger stands once the cross and what the desk took are posted.

    Parameters
    ----------
    found : dict
        `WorkedExample.to_dict`.

    Returns
    -------
    dict
        ``entries``, ``balanced``, and ``books``: book -> its shares, and its result at the midpoint, as text.

    """
    done, rest, ledger = found["cross"], found["residual"], Ledger()
    client, strategy, desk = done["sell"]["client_id"], done["buy"]["strategy_tag"], "IB-DESK"
    ledger.define(SHARES)
    for book in (client, strategy, desk):
        ledger.post(deposit(ledger.state, ts_ns=0, ref=book, book=book, currency="USD", amount=CAPITAL, venue=INSIDE))
    trades = [(strategy, done["quantity"], done["price"], done["cross_id"])]
    if rest["desk"] != "0":
        trades.append((desk, rest["desk"], rest["desk_price"], rest["order_id"]))
    for at, (buyer, quantity, price, ref) in enumerate(trades, 1):
        draft = cross(
            ledger.state, Leg(book=buyer), Leg(book=client), ts_ns=at, ref=ref, instrument_id=f"AAPL.{INSIDE}",
            quantity=Decimal(quantity), price=Decimal(price),
        )  # fmt: skip
        ledger.post(draft)
    mid = {SHARES.item: Decimal(done["price"])}
    return {
        "entries": ledger.state.entries,
        "balanced": set(trial_balance(ledger.state).values()) == {0},
        "books": {
            book: {
                "AAPL": decimal_text(sum((i.net_position for i in inventory(ledger.state, book=book)), Decimal(0))),
                "result": decimal_text(nav(ledger.state, book, mid)["USD"] - CAPITAL),
            }
            for book in (client, strategy, desk)
        },
    }
