"""The plan: a value with everything a person must see before trading, named by the hash of its canonical JSON."""

import hashlib
from decimal import Decimal
from typing import Any, Literal, Self

import msgspec

from ufos_nautilus.errors import IntegrityError, SpecError
from ufos_nautilus.limits import PLAN_FILE_BYTES_MAX

PLAN_VERSION = 1


class LotSale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of a tax lot that an order sells: units, what they cost, gain before costs, tax, and how it is taxed."""

    ref: str
    opened_ns: int
    quantity: Decimal
    cost: Decimal
    gain: Decimal
    tax: Decimal
    term: Literal["short", "long"]
    washed: bool = False


class PlannedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order of a plan with its estimated cost, base currency."""

    symbol: str
    instrument_id: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal
    price: Decimal
    price_ns: int
    value: Decimal
    commission: Decimal
    half_spread: Decimal
    impact: Decimal
    lots: tuple[LotSale, ...] = ()


class NameWeight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name's weight before, as wanted and after; fractions of net asset value, rounded to eight decimals."""

    symbol: str
    held: Decimal
    """Units before."""
    price: Decimal
    before: Decimal
    target: Decimal
    after: Decimal
    step: Decimal
    """Weight of one smallest quantity: how near a whole number can come."""
    excluded: str = ""


class Drift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Distance from the target: half the sum of all weight differences with cash, and the largest of one name."""

    active_share: Decimal
    largest: Decimal
    name: str


class PlanTax(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gains that the plan realises and the estimated tax on them, base currency; a negative tax is saved."""

    short_gain: Decimal
    long_gain: Decimal
    washed_loss: Decimal
    tax: Decimal
    order: str
    weight: Decimal


class Violation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit that the plan does not keep; a plan with one needs a person's decision."""

    code: str
    subject: str
    detail: str


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Orders to be approved and sent together, with all that was known when they were made.

    Parameters
    ----------
    version : int
        Of this layout.
    portfolio, owner, currency : str
        Whose, in which currency.
    created_ns, expires_ns : int
        Life, UNIX nanoseconds.
    method, status : str
        ``"exact"`` or ``"proportional"``, and how good the planner says it is.
    mode, target : str
        How, and towards what.
    target_cash, max_weight : Decimal
        Fraction to be kept in cash; largest weight of one name.
    nav, cash_before, flow, cash_after, cash_floor, deviation : Decimal
        Base currency; `deviation` is the sum of distances from target values after the plan.
    orders, weights : tuple
        What is traded; every name held or wanted.
    drift_before, drift_after : Drift
        Distance from the target.
    commission, half_spread, impact : Decimal
        Sums over the orders.
    tax : PlanTax
        Gains realised.
    restrictions : dict
        What the owner will not hold, by kind.
    violations, notes : tuple
        Limits not kept; what else a reader should know.
    no_rebuy : dict
        Symbol sold at a loss -> UNIX nanoseconds until which buying it back would be a wash sale.
    hash : str
        SHA-256 of the canonical JSON of everything else.

    """

    portfolio: str
    owner: str
    currency: str
    created_ns: int
    expires_ns: int
    method: str
    status: str
    mode: str
    target: str
    target_cash: Decimal
    max_weight: Decimal
    nav: Decimal
    cash_before: Decimal
    flow: Decimal
    cash_after: Decimal
    cash_floor: Decimal
    deviation: Decimal
    orders: tuple[PlannedOrder, ...]
    weights: tuple[NameWeight, ...]
    drift_before: Drift
    drift_after: Drift
    commission: Decimal
    half_spread: Decimal
    impact: Decimal
    tax: PlanTax
    restrictions: dict[str, list[str]]
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    no_rebuy: dict[str, int] = {}
    version: int = PLAN_VERSION
    hash: str = ""

    @property
    def plan_id(self) -> str:
        """Return the short name: the first twelve digits of the hash."""
        return self.hash[:12]

    @property
    def cost(self) -> Decimal:
        """Return the whole estimated cost, base currency."""
        return self.commission + self.half_spread + self.impact

    def canonical(self) -> bytes:
        """Return the canonical JSON of everything but the hash: sorted keys, no spaces, plain decimals."""
        fields = self.to_dict()
        del fields["hash"]
        return msgspec.json.encode(fields, order="sorted")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; decimals as plain text without trailing zeros."""
        return _plain(msgspec.to_builtins(self, builtin_types=(Decimal,)))

    def sealed(self) -> Self:
        """Return the plan with its hash."""
        return msgspec.structs.replace(self, hash=hashlib.sha256(self.canonical()).hexdigest())

    def to_json(self) -> str:
        """Return the plan as JSON, hash included, keys sorted."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict(), order="sorted"), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a plan and check its hash.

        Raises
        ------
        SpecError
            If the text is no plan.
        IntegrityError
            If the content does not match the hash.

        """
        if len(text) > PLAN_FILE_BYTES_MAX:
            raise SpecError(f"a plan of {len(text):,} bytes", expected=f"at most {PLAN_FILE_BYTES_MAX:,}")
        try:
            plan = msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise SpecError(f"no plan: {error}", expected="the JSON that `ufos plan rebalance` writes") from None
        if plan.version != PLAN_VERSION:
            raise SpecError(f"a plan of version {plan.version}", expected=f"version {PLAN_VERSION}")
        found = hashlib.sha256(plan.canonical()).hexdigest()
        if found != plan.hash:
            raise IntegrityError(
                f"plan {plan.plan_id or '?'} has been changed: its content hashes to {found[:12]}",
                expected="a plan exactly as it was made",
                next_step="make the plan again",
            )
        return plan

    def require_current(self, now_ns: int) -> None:
        """Raise `SpecError` where the plan has expired, or is from the future."""
        if not self.created_ns <= now_ns < self.expires_ns:
            late = (now_ns - self.expires_ns) / 1e9
            what = f"expired {late:,.0f} s ago" if late >= 0 else "is from after this time"
            raise SpecError(
                f"plan {self.plan_id} {what}", expected="a plan that is current", next_step="make a new one"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text in ("-0", "") else text
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
