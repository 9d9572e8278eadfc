"""What somebody wants to trade, before any order exists: eight fields of identity, and the terms."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Literal, Self, get_args

import msgspec

from ufos_nautilus.crossing.grid import root_symbol
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import EXEC_INSTRUCTION_BYTES_MAX, TICKET_NAME_CHARS_MAX

Side = Literal["BUY", "SELL"]
IDENTITY: Final = (
    "order_id",
    "parent_id",
    "client_id",
    "desk_id",
    "strategy_tag",
    "intent_side",
    "exec_instruction",
    "internalization_flag",
)
"""The eight fields every ticket carries from intent to ledger."""
_SIDES: Final = get_args(Side)
_LARGEST: Final = Decimal(10) ** 18
_NAMES: Final = ("order_id", "parent_id", "client_id", "desk_id", "strategy_tag", "beneficiary", "book")


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An intent to trade.

    Parameters
    ----------
    order_id : str
        Unique in a run; never used twice.
    instrument : str
        Symbol and venue on which the name is quoted, for example ``"AAPL.XNAS"``; it crosses under its root symbol.
    intent_side : {"BUY", "SELL"}
        What the owner wants.
    quantity : Decimal
        Units or contracts, above zero.
    ts_ns : int
        When the intent was stated, UNIX nanoseconds: its place in time priority starts here.
    parent_id : str
        The ticket this one was cut from, or empty.
    client_id, desk_id, strategy_tag : str
        Who asked, which desk serves, which strategy decided; at least one is given.
    exec_instruction : dict
        JSON data for whoever works the residual, for example ``{"algorithm": "POV", "participation_rate": 0.1}``.
    internalization_flag : bool
        True if it may cross inside the house.
    limit : Decimal or None
        Worst price accepted; None follows the midpoint wherever it is.
    min_quantity : Decimal
        Smallest piece a cross may fill; once less is left, what is left.
    beneficiary : str
        Who owns the result; tickets of one beneficiary never cross. Default: client, else strategy, else desk.
    book : str
        The ledger book that trades. Default: the beneficiary.
    expiry_ns : int
        From this time on it trades no more, UNIX nanoseconds; 0 is never.

    Raises
    ------
    SpecError
        If any field is not what it should be.

    """

    order_id: str
    instrument: str
    intent_side: Side
    quantity: Decimal
    ts_ns: int
    parent_id: str = ""
    client_id: str = ""
    desk_id: str = ""
    strategy_tag: str = ""
    exec_instruction: dict[str, Any] = {}
    internalization_flag: bool = True
    limit: Decimal | None = None
    min_quantity: Decimal = Decimal(0)
    beneficiary: str = ""
    book: str = ""
    expiry_ns: int = 0

    def __post_init__(self) -> None:
        owner = self.beneficiary or self.client_id or self.strategy_tag or self.desk_id
        if not self.beneficiary:
            msgspec.structs.force_setattr(self, "beneficiary", owner)
        if not self.book:
            msgspec.structs.force_setattr(self, "book", owner)
        for name in _NAMES:
            value = getattr(self, name)
            if value and not (type(value) is str and len(value) <= TICKET_NAME_CHARS_MAX and _PRINTABLE(value)):
                raise SpecError(
                    f"ticket {self.order_id!r}: {name} is {value!r}",
                    expected=f"at most {TICKET_NAME_CHARS_MAX} printable characters",
                )
        if not self.order_id or not (self.client_id or self.strategy_tag or self.desk_id):
            raise SpecError(
                f"ticket {self.order_id!r} has no id or no owner",
                expected="an order_id and one of client_id, strategy_tag, desk_id",
            )
        if type(self.instrument) is not str or not _PRINTABLE(self.instrument):
            raise SpecError(f"ticket {self.order_id}: instrument is {self.instrument!r}", expected="such as AAPL.XNAS")
        root_symbol(self.instrument)
        self._check_terms()
        if self.exec_instruction:
            msgspec.structs.force_setattr(self, "exec_instruction", _plain_json(self.exec_instruction, self.order_id))

    def _check_terms(self) -> None:
        if self.intent_side not in _SIDES:
            raise SpecError(f"ticket {self.order_id}: side is {self.intent_side!r}", expected="BUY or SELL")
        if type(self.internalization_flag) is not bool:
            raise SpecError(f"ticket {self.order_id}: internalization_flag is no truth value", expected="True or False")
        if not (_is_decimal(self.quantity) and self.quantity > 0):
            raise SpecError(f"ticket {self.order_id}: quantity is {self.quantity!r}", expected="a Decimal above zero")
        if self.limit is not None and not _is_decimal(self.limit):
            raise SpecError(f"ticket {self.order_id}: limit is {self.limit!r}", expected="a finite Decimal or None")
        if not (_is_decimal(self.min_quantity) and 0 <= self.min_quantity <= self.quantity):
            raise SpecError(
                f"ticket {self.order_id}: min_quantity is {self.min_quantity!r}",
                expected="a Decimal from zero to the quantity",
            )
        if not (type(self.ts_ns) is int and type(self.expiry_ns) is int and self.ts_ns >= 0 and self.expiry_ns >= 0):
            raise SpecError(f"ticket {self.order_id}: bad times", expected="UNIX nanoseconds as whole numbers")
        if self.expiry_ns and self.expiry_ns <= self.ts_ns:
            raise SpecError(f"ticket {self.order_id} expires before it begins", expected="expiry_ns after ts_ns, or 0")

    @property
    def root(self) -> str:
        """Return the symbol without its venue, under which the ticket crosses."""
        return root_symbol(self.instrument)

    def child(self, order_id: str, quantity: Decimal, ts_ns: int, **changes: Any) -> Self:
        """Return a ticket cut from this one: same owner and terms, `parent_id` set, at most this quantity.

        Parameters
        ----------
        order_id : str
            The child's own id.
        quantity : Decimal
            Units, at most the parent's.
        ts_ns : int
            When it was cut, UNIX nanoseconds.
        **changes
            Other fields that differ, for example ``limit`` or ``exec_instruction``.

        Raises
        ------
        SpecError
            If the child is larger than the parent, keeps its id, changes side, name or owner, or is wrong in itself.

        """
        fixed = {"parent_id", "instrument", "intent_side", "beneficiary"} & changes.keys()
        if fixed or order_id == self.order_id:
            raise SpecError(
                f"a child of {self.order_id} can't change {sorted(fixed) or 'nothing'}", expected="a new id"
            )
        if not _is_decimal(quantity) or quantity > self.quantity:
            raise SpecError(f"a child of {quantity} from ticket {self.order_id} of {self.quantity}", expected="no more")
        smallest = min(self.min_quantity, quantity)
        terms = {"min_quantity": smallest, "order_id": order_id, "quantity": quantity, "ts_ns": ts_ns, **changes}
        return msgspec.structs.replace(self, parent_id=self.order_id, **terms)

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, no spaces, decimals as plain strings without trailing zeros."""
        fields = msgspec.to_builtins(self, order="sorted", builtin_types=(Decimal,))
        plain = {k: decimal_text(v) if isinstance(v, Decimal) else v for k, v in fields.items()}
        return msgspec.json.encode(plain, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Rebuild from `to_json`; `SpecError` if it is no ticket."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise SpecError(f"no ticket: {error}", expected="the JSON written by Ticket.to_json") from None


def check_children(parent: Ticket, children: Sequence[Ticket]) -> None:
    """Check that `children` were cut from `parent` and want no more than it.

    Raises
    ------
    SpecError
        If a child names another parent, differs in name, side or owner, shares an id, or they add up to more.

    """
    same = ("instrument", "intent_side", "beneficiary")
    for child in children:
        if child.parent_id != parent.order_id or any(getattr(child, f) != getattr(parent, f) for f in same):
            raise SpecError(f"{child.order_id} is no child of {parent.order_id}", expected="same name, side and owner")
    if len({parent.order_id, *(c.order_id for c in children)}) != len(children) + 1:
        raise SpecError(f"children of {parent.order_id} share an id", expected="an id of its own for each")
    total = sum((c.quantity for c in children), Decimal(0))
    if total > parent.quantity:
        raise SpecError(
            f"children of {parent.order_id} add up to {total}", expected=f"at most {decimal_text(parent.quantity)}"
        )


def decimal_text(value: Decimal) -> str:
    """Return a decimal as plain digits without exponent or trailing zeros; equal values give equal text."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _is_decimal(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and -_LARGEST < value < _LARGEST


def _plain_json(value: object, order_id: str) -> dict[str, Any]:
    """Return a copy of `value` as JSON data, so that the ticket can't change with the caller's object."""
    problem = ""
    if not isinstance(value, dict) or not _has_text_keys(value):
        problem = "is no mapping of names to JSON values"
    else:
        try:
            encoded = msgspec.json.encode(value, order="sorted")
            if len(encoded) <= EXEC_INSTRUCTION_BYTES_MAX:
                return msgspec.json.decode(encoded, type=dict[str, Any])
            problem = f"takes {len(encoded)} bytes"
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"is no JSON ({error})"
    raise SpecError(
        f"ticket {order_id}: exec_instruction {problem}",
        expected=f"JSON of at most {EXEC_INSTRUCTION_BYTES_MAX} bytes",
    )


def _has_text_keys(value: object, depth: int = 0) -> bool:
    """Tell whether `value` is JSON whose keys are strings and whose numbers are finite."""
    if depth > 16:
        return False
    if isinstance(value, dict):
        return all(isinstance(k, str) and _has_text_keys(v, depth + 1) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_has_text_keys(v, depth + 1) for v in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | bool | int)


_PRINTABLE: Final = str.isprintable
