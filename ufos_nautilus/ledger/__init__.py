"""Double-entry ledger of all books: accounts, journal, recipes, views, stores; no engine.

Here is the pure part. `ufos_nautilus.ledger.store` keeps a ledger in SQLite or PostgreSQL, `store_check` proves that it
is what was written, `export` writes it as Parquet.
"""

from ufos_nautilus.ledger.accounts import Account, Asset
from ufos_nautilus.ledger.allocation import BlockAllocation, allocate
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.corporate_actions import dividend, split
from ufos_nautilus.ledger.journal import Draft, Entry, Head, Posting
from ufos_nautilus.ledger.ledger import Ledger, MemoryJournal
from ufos_nautilus.ledger.lots import Disposal, Lot, LotBook, lots_of
from ufos_nautilus.ledger.recipes import (
    definitions,
    deposit,
    deposit_in_kind,
    exchange,
    fee,
    funding,
    reversal,
    transfer,
    transfer_fee,
    withdrawal,
)
from ufos_nautilus.ledger.reconcile import Difference, compare_cash, compare_positions, require_reconciled
from ufos_nautilus.ledger.records import Portfolio, RiskProfile, StrategyRecord
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.trades import Leg, cross, fill
from ufos_nautilus.ledger.views import (
    Inventory,
    Result,
    capital,
    cash_by_venue,
    inventory,
    nav,
    nav_in,
    positions_by_venue,
    results,
    trial_balance,
)

__all__ = [
    "Account",
    "Asset",
    "BlockAllocation",
    "Contract",
    "Difference",
    "Disposal",
    "Draft",
    "Entry",
    "Head",
    "Inventory",
    "Ledger",
    "LedgerState",
    "Leg",
    "Lot",
    "LotBook",
    "MemoryJournal",
    "Portfolio",
    "Posting",
    "Result",
    "RiskProfile",
    "StrategyRecord",
    "allocate",
    "capital",
    "cash_by_venue",
    "compare_cash",
    "compare_positions",
    "cross",
    "definitions",
    "deposit",
    "deposit_in_kind",
    "dividend",
    "exchange",
    "fee",
    "fill",
    "funding",
    "inventory",
    "lots_of",
    "nav",
    "nav_in",
    "positions_by_venue",
    "require_reconciled",
    "results",
    "reversal",
    "split",
    "transfer",
    "transfer_fee",
    "trial_balance",
    "withdrawal",
]
