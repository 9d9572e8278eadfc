"""Who holds what in which capacity: accounts, their roles, and the smallest units of assets."""

from typing import Final, NamedTuple

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import LEDGER_ASSET_DECIMALS_MAX, LEDGER_ASSETS_MAX, LEDGER_NAME_CHARS_MAX

CASH: Final = "cash"
"""Money of a book, by venue; equals the balance the venue reports."""
POSITION: Final = "position"
"""Units of an instrument that a book holds, by venue; negative when short."""
MARKET: Final = "market"
"""The world outside: what the house bought came from here."""
COST: Final = "cost"
"""What the open position cost, at average cost; negative when short. Belongs to the item, whatever the venue."""
FINANCING: Final = "financing"
"""Minus the cost of a margined position at one venue: what the venue has not been paid for it."""
REALISED: Final = "realised_pnl"
"""Result of closed trades; negative is profit, as for every income account."""
VENUE_DIFFERENCE: Final = "venue_difference"
"""What a venue settled less than the exact result (its rounding); positive is a loss."""
FEES: Final = "fees"
"""Commissions paid; rebates are negative."""
FUNDING: Final = "funding"
"""Funding of perpetual contracts paid; negative is received."""
DIVIDENDS: Final = "dividends"
"""Dividends received (negative) or, when short, paid."""
TRANSFER_FEE: Final = "transfer_fee"
"""Fees between books for internal crosses; paid positive, received negative."""
CAPITAL: Final = "capital"
"""What owners put in (negative) and took out."""
FX: Final = "fx"
"""The two sides of currency exchanges."""

ROLES: Final = frozenset(
    {
        CASH, POSITION, MARKET, COST, FINANCING, REALISED, VENUE_DIFFERENCE, FEES, FUNDING, DIVIDENDS, TRANSFER_FEE,
        CAPITAL, FX,
    }
)  # fmt: skip
RESULT_ROLES: Final = (REALISED, VENUE_DIFFERENCE, FEES, FUNDING, DIVIDENDS, TRANSFER_FEE, FX)
"""Accounts that make profit or loss, in the order of a statement."""


class Account(NamedTuple):
    """One account of the ledger; a positive balance is an asset or an expense, a negative one a debt or an income.

    Parameters
    ----------
    book : str
        Whose sub-ledger it is, for example ``"WM-ALICE"``.
    asset : str
        Currency code or instrument root; its smallest unit is in the asset registry.
    role : str
        One of `ROLES`.
    venue : str
        Where it is held; empty for what is held nowhere (cost, results) and for the house's own till.
    item : str
        Instrument root that it belongs to; empty for money as such.

    """

    book: str
    asset: str
    role: str
    venue: str = ""
    item: str = ""


class Asset(NamedTuple):
    """A currency or an instrument root with its smallest unit, ``10 ** -decimals``."""

    code: str
    decimals: int


def check_name(value: str, what: str, *, empty: bool = False) -> None:
    """Refuse a name that could not be read back or told apart.

    Raises
    ------
    DataError
        If the name is empty (unless allowed), longer than the limit, or has control characters or outer blanks.

    """
    if not isinstance(value, str) or (not value and not empty):
        raise DataError(f"{what} is {value!r}", expected="a name that is not empty")
    if len(value) > LEDGER_NAME_CHARS_MAX:
        raise LimitExceededError(
            f"{what} {value[:20]!r}... has {len(value)} characters", expected=f"at most {LEDGER_NAME_CHARS_MAX}"
        )
    if value and (not value.isprintable() or value != value.strip()):
        raise DataError(f"{what} {value!r} has control characters or outer blanks", expected="printable characters")


def check_account(account: Account) -> None:
    """Refuse an account with an unknown role or with names that cannot be used."""
    if account.role not in ROLES:
        raise DataError(f"there is no account role {account.role!r}", expected=f"one of {', '.join(sorted(ROLES))}")
    check_name(account.book, "book")
    check_name(account.asset, "asset")
    check_name(account.venue, "venue", empty=True)
    check_name(account.item, "item", empty=True)


def check_asset(asset: Asset, known: dict[str, int]) -> None:
    """Refuse an asset whose smallest unit is impossible or differs from the one it already has."""
    check_name(asset.code, "asset")
    if type(asset.decimals) is not int or not 0 <= asset.decimals <= LEDGER_ASSET_DECIMALS_MAX:
        raise DataError(
            f"{asset.code}: decimals is {asset.decimals!r}", expected=f"0 to {LEDGER_ASSET_DECIMALS_MAX} decimals"
        )
    before = known.get(asset.code, asset.decimals)
    if before != asset.decimals:
        raise DataError(
            f"{asset.code} has {before} decimals in this ledger, not {asset.decimals}",
            expected="one smallest unit per asset for the life of a ledger",
        )
    if asset.code not in known and len(known) >= LEDGER_ASSETS_MAX:
        raise LimitExceededError(f"the ledger has {len(known)} assets", expected=f"at most {LEDGER_ASSETS_MAX}")


def root_and_venue(instrument_id: str) -> tuple[str, str]:
    """Return the root symbol and the venue of an instrument id: ``("AAPL", "DARK")`` for ``"AAPL.DARK"``."""
    root, dot, venue = instrument_id.rpartition(".")
    if not dot or not root or not venue:
        raise DataError(f"instrument id {instrument_id!r} names no venue", expected="SYMBOL.VENUE, such as AAPL.XNAS")
    return root, venue
