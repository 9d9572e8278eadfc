"""What one unit of an instrument is worth and how its average price is kept, as data the journal itself stores."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Self

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import Asset, check_name
from ufos_nautilus.ledger.money import half_even, quotient, share
from ufos_nautilus.market.instruments import InstrumentSpec

AverageMethod = Literal["price", "cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Terms of an instrument root; the same on every venue that lists it.

    Parameters
    ----------
    item : str
        Root symbol: ``"AAPL"`` for both ``AAPL.XNAS`` and ``AAPL.DARK``.
    asset : Asset
        What a position is counted in: the root itself, or the base currency of a pair held in a cash account.
    currency : Asset
        What it is paid and settled in.
    multiplier : Decimal
        Currency per price point and unit; for an inverse contract, quote currency per unit.
    inverse : bool
        Worth ``multiplier / price`` of the currency, so that profit is in the coin.
    average : str
        How an inverse position's average price is kept where contracts are added: ``"price"`` weighs prices by
        quantity, as the engine does; ``"cost"`` adds up what the contracts cost in coin (harmonic mean), as exchanges
        do. The two are the same for contracts that are not inverse.

    """

    item: str
    asset: Asset
    currency: Asset
    multiplier: Decimal = Decimal(1)
    inverse: bool = False
    average: AverageMethod = "price"
    _scale: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name(self.item, "item")
        if not self.multiplier.is_finite() or self.multiplier <= 0:
            raise DataError(f"{self.item}: multiplier is {self.multiplier}", expected="a positive decimal")
        if self.average not in ("price", "cost"):
            raise DataError(f"{self.item}: average is {self.average!r}", expected="'price' or 'cost'")
        if self.asset.code == self.currency.code:
            raise DataError(
                f"{self.item} is counted and paid in {self.asset.code}", expected="an asset that is not its currency"
            )
        top, bottom = self.multiplier.as_integer_ratio()
        top, bottom = top * 10**self.currency.decimals, bottom * 10**self.asset.decimals
        object.__setattr__(self, "_scale", (top, bottom))

    @classmethod
    def of(
        cls, spec: InstrumentSpec, currency: Asset, *, base: Asset | None = None, average: AverageMethod = "price"
    ) -> Self:
        """Return the contract of an instrument.

        Parameters
        ----------
        spec : InstrumentSpec
            The instrument; its settlement currency must be `currency`.
        currency : Asset
            Settlement currency with its decimals.
        base : Asset, optional
            For a currency pair in a cash account, the base currency with its decimals, so that what the account
            holds of it is one asset with the balance the venue reports.
        average : str
            See `Contract`.

        """
        if currency.code != spec.settlement:
            raise DataError(
                f"{spec.instrument_id} settles in {spec.settlement}, not in {currency.code}",
                expected="the settlement currency of the instrument",
            )
        asset = base or Asset(spec.symbol, spec.size_precision)
        return cls(
            item=spec.symbol,
            asset=asset,
            currency=currency,
            multiplier=spec.multiplier,
            inverse=spec.inverse,
            average=average,
        )

    def value(self, quantity: int, price: Decimal) -> int:
        """Return what a signed quantity is worth at a price.

        Parameters
        ----------
        quantity : int
            Units, positive long and negative short.
        price : Decimal
            Quote currency per unit; may be negative except for inverse contracts.

        Returns
        -------
        int
            Smallest units of the currency, rounded half to even once. Of an inverse contract it is *minus*
            ``quantity * multiplier / price``, so that value falls as less coin is owed and profit is always the change
            of value.

        """
        top, bottom = price.as_integer_ratio()
        if self.inverse:
            if top <= 0:
                raise DataError(f"{self.item}: price is {price}", expected="a positive price of an inverse contract")
            return -half_even(quantity * self._scale[0] * bottom, self._scale[1] * top)
        return half_even(quantity * self._scale[0] * top, self._scale[1] * bottom)

    def added_cost(self, quantity: int, cost: int, added: int, price: Decimal, value: int) -> int:
        """Return by how much the cost grows when units are added to a position on the same side.

        Parameters
        ----------
        quantity, cost : int
            Signed units and cost before.
        added : int
            Signed units added.
        price : Decimal
            Their price.
        value : int
            Their value, as rounded by the caller.

        """
        if not (self.inverse and self.average == "price" and quantity and cost):
            return value
        # The average price is A = -quantity * m / cost before and B = (A * quantity + price * added) / total after;
        # the cost after is -total * m / B. With m = m_top / m_bottom and price = top / bottom it is all in integers.
        m_top, m_bottom = self._scale
        top, bottom = price.as_integer_ratio()
        total = quantity + added
        below = top * added * cost * m_bottom - quantity * quantity * m_top * bottom
        return half_even(-total * total * m_top * cost * bottom, below) - cost

    def average_price(self, quantity: int, cost: int) -> Decimal | None:
        """Return the average price of a position, or None where there is none.

        Parameters
        ----------
        quantity, cost : int
            Signed units and signed cost in smallest units.

        """
        if not quantity or (self.inverse and not cost):
            return None
        m_top, m_bottom = self._scale
        if self.inverse:
            return quotient(-quantity * m_top, cost * m_bottom)
        return quotient(cost * m_bottom, quantity * m_top)

    def split(self, quantity: int, cost: int, traded: int, price: Decimal, value: int) -> tuple[int, int, int]:
        """Divide a trade into the part that closes a position and the part that opens one.

        Parameters
        ----------
        quantity, cost : int
            Signed position and cost before.
        traded : int
            Signed units traded, not zero.
        price : Decimal
            Price of the trade.
        value : int
            ``self.value(traded, price)``.

        Returns
        -------
        tuple of int
            Value of the closing part, cost it releases, cost the opening part adds. The values of the two parts add
            up to `value`; a position that is closed entirely releases all of its cost.

        """
        if (quantity >= 0) == (traded > 0) or not quantity:
            return 0, 0, self.added_cost(quantity, cost, traded, price, value)
        if abs(traded) <= abs(quantity):
            return value, share(cost, abs(traded), abs(quantity)), 0
        closing = self.value(-quantity, price)
        return closing, cost, value - closing

    def to_dict(self) -> dict[str, str | int]:
        """Return plain data for the journal; the inverse of `from_dict`."""
        return {
            "item": self.item,
            "asset": self.asset.code,
            "asset_decimals": self.asset.decimals,
            "currency": self.currency.code,
            "currency_decimals": self.currency.decimals,
            "multiplier": format(self.multiplier, "f"),
            "inverse": int(self.inverse),
            "average": self.average,
        }

    @classmethod
    def from_dict(cls, data: dict[str, str | int]) -> Self:
        """Rebuild from `to_dict`."""
        average: AverageMethod = "cost" if data["average"] == "cost" else "price"
        return cls(
            item=str(data["item"]),
            asset=Asset(str(data["asset"]), int(data["asset_decimals"])),
            currency=Asset(str(data["currency"]), int(data["currency_decimals"])),
            multiplier=Decimal(str(data["multiplier"])),
            inverse=bool(data["inverse"]),
            average=average,
        )
