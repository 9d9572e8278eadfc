"""Tax lots: which purchase a sale closes, by first in, last in, highest cost, or as the owner names them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.ledger.accounts import COST, POSITION, REALISED
from ufos_nautilus.ledger.allocation import allocate
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Entry
from ufos_nautilus.ledger.money import share
from ufos_nautilus.limits import LEDGER_LOTS_MAX

LotMethod = Literal["fifo", "lifo", "highest_cost", "specific"]
LOT_METHODS: tuple[LotMethod, ...] = ("fifo", "lifo", "highest_cost", "specific")


@dataclass(frozen=True, slots=True)
class Lot:
    """Units opened by one trade and not yet closed.

    Parameters
    ----------
    ref : str
        Names the trade that opened it.
    ts_ns : int
        When, UNIX nanoseconds.
    quantity : int
        Units, always positive.
    cost : int
        What they cost, smallest units; negative for a short lot.

    """

    ref: str
    ts_ns: int
    quantity: int
    cost: int


class Disposal(NamedTuple):
    """Units of one lot closed by one trade; `gain` is proceeds less cost, in smallest units."""

    lot_ref: str
    ref: str
    opened_ns: int
    closed_ns: int
    quantity: int
    cost: int
    gain: int


class LotBook:
    """Open lots of one book in one item. All are long or all are short; none is ever negative.

    Parameters
    ----------
    contract : Contract
        Terms of the item.
    method : str
        ``"fifo"``, ``"lifo"``, ``"highest_cost"`` (the lot with the smallest gain first) or ``"specific"``.

    """

    def __init__(self, contract: Contract, method: LotMethod = "fifo") -> None:
        if method not in LOT_METHODS:
            raise DataError(f"there is no lot method {method!r}", expected=f"one of {', '.join(LOT_METHODS)}")
        self.contract, self.method = contract, method
        self.lots: dict[str, Lot] = {}
        self.side = 0
        """1 long, -1 short, 0 flat."""

    @property
    def position(self) -> int:
        """Return the signed position that the open lots add up to."""
        return self.side * sum(lot.quantity for lot in self.lots.values())

    @property
    def cost(self) -> int:
        """Return the signed cost of all open lots."""
        return sum(lot.cost for lot in self.lots.values())

    def trade(
        self, ts_ns: int, ref: str, quantity: int, price: Decimal, picks: Sequence[tuple[str, int]] = ()
    ) -> list[Disposal]:
        """Add one trade: it closes lots of the other side first and opens one with the rest.

        Parameters
        ----------
        ts_ns : int
            When.
        ref : str
            Unique reference; names the lot it opens.
        quantity : int
            Signed units.
        price : Decimal
            Price per unit.
        picks : sequence of (lot reference, units)
            For ``"specific"``: which lots to close; they must add up to what the trade closes.

        Returns
        -------
        list of Disposal
            In the order the lots were closed; gains and costs add up exactly to those of the trade.

        Raises
        ------
        DataError
            If the reference was used, or picks do not fit the open lots.
        LimitExceededError
            If there would be too many open lots.

        """
        if not quantity:
            raise DataError(f"trade {ref!r} has no quantity", expected="units bought or sold")
        value = self.contract.value(quantity, price)
        closing = 0 if quantity * self.side >= 0 else min(abs(quantity), abs(self.position))
        taken = self._takes(closing, picks)
        opened = abs(quantity) - closing
        if opened and (ref in self.lots and not any(name == ref for name, _ in taken)):
            raise DataError(f"a lot {ref!r} is open already", expected="a reference of its own for every trade")
        if opened and len(self.lots) - len(taken) >= LEDGER_LOTS_MAX:
            raise LimitExceededError(f"{len(self.lots)} lots are open", expected=f"at most {LEDGER_LOTS_MAX}")
        sign = 1 if quantity > 0 else -1
        closing_value = value if not opened else self.contract.value(sign * closing, price)
        disposals = self._close(ts_ns, ref, taken, closing, closing_value)
        if opened:
            self.side = sign
            self.lots[ref] = Lot(ref, ts_ns, opened, value - closing_value)
        elif not self.lots:
            self.side = 0
        return disposals

    def _close(self, ts_ns: int, ref: str, taken: list[tuple[str, int]], units: int, value: int) -> list[Disposal]:
        disposals: list[Disposal] = []
        for name, quantity in taken:
            lot = self.lots[name]
            part = share(value, quantity, units)
            released = share(lot.cost, quantity, lot.quantity)
            units, value = units - quantity, value - part
            disposals.append(Disposal(name, ref, lot.ts_ns, ts_ns, quantity, released, -part - released))
            if quantity == lot.quantity:
                del self.lots[name]
            else:
                self.lots[name] = replace(lot, quantity=lot.quantity - quantity, cost=lot.cost - released)
        return disposals

    def _takes(self, units: int, picks: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return (lot, units) to close, without changing anything."""
        if self.method == "specific":
            return self._checked(units, picks)
        if picks:
            raise DataError(f"lots were named for method {self.method}", expected="the method 'specific'")
        taken: list[tuple[str, int]] = []
        for lot in self._ordered():
            if not units:
                break
            quantity = min(units, lot.quantity)
            taken.append((lot.ref, quantity))
            units -= quantity
        return taken

    def _ordered(self) -> Iterator[Lot]:
        if self.method == "lifo":
            return reversed(self.lots.values())
        if self.method == "highest_cost":
            return iter(sorted(self.lots.values(), key=lambda lot: -Fraction(lot.cost, lot.quantity)))
        return iter(self.lots.values())

    def _checked(self, units: int, picks: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        wanted: dict[str, int] = {}
        for name, quantity in picks:
            lot = self.lots.get(name)
            if lot is None or quantity <= 0 or wanted.get(name, 0) + quantity > lot.quantity:
                has = "is not open" if lot is None else f"has {lot.quantity} units"
                raise DataError(f"lot {name!r} {has}, {quantity} were named", expected="open lots and what they hold")
            wanted[name] = wanted.get(name, 0) + quantity
        if sum(wanted.values()) != units:
            raise DataError(
                f"lots of {sum(wanted.values())} units were named for a trade that closes {units}",
                expected="lots that add up to what the trade closes",
            )
        return list(wanted.items())

    def resize(self, position: int, released: int = 0) -> None:
        """Spread a split over the lots: units change to `position` in all, and `released` of the cost leaves them.

        A lot that comes to less than one unit is merged into the first one that has any.

        Raises
        ------
        DataError
            If the split would change sides or close everything.

        """
        if not self.lots or position * self.side <= 0:
            raise DataError(f"lots of {self.position} cannot become {position} by a split", expected="the same side")
        sizes = allocate(abs(position), [lot.quantity for lot in self.lots.values()])
        shares = allocate(released, [abs(lot.cost) for lot in self.lots.values()])
        costs = [lot.cost - part for lot, part in zip(self.lots.values(), shares, strict=True)]
        first = next(index for index, size in enumerate(sizes) if size)
        costs[first] += sum(cost for cost, size in zip(costs, sizes, strict=True) if not size)
        self.lots = {
            name: replace(lot, quantity=size, cost=cost)
            for (name, lot), size, cost in zip(self.lots.items(), sizes, costs, strict=True)
            if size
        }


def lots_of(
    entries: Iterable[Entry],
    contract: Contract,
    book: str,
    method: LotMethod = "fifo",
    picks: Mapping[int, Sequence[tuple[str, int]]] | None = None,
) -> tuple[LotBook, list[Disposal]]:
    """Return the open lots of a book in one item, and every lot closed so far.

    Entries that were taken back by a reversal count as if they had never been.

    Parameters
    ----------
    entries : iterable of Entry
        From the beginning; read twice, so it is kept in memory.
    contract : Contract
        Terms of the item.
    book : str
        Whose lots.
    method : str
        See `LotBook`.
    picks : mapping, optional
        For ``"specific"``: sequence number of the closing entry -> lots it closes.

    Returns
    -------
    LotBook and list of Disposal
        A lot is named by the sequence number of the entry that opened it, as text. Fractions that a split paid out
        are a disposal of no units.

    """
    kept = list(entries)
    undone = {entry.reverses for entry in kept if entry.reverses}
    lots = LotBook(contract, method)
    disposals: list[Disposal] = []
    for entry in kept:
        if entry.reverses or entry.seq in undone:
            continue
        moved = _posted(entry, book, contract.item, POSITION)
        if not moved:
            continue
        name = str(entry.seq)
        if entry.kind == "split":
            released = -_posted(entry, book, contract.item, COST)
            lots.resize(lots.position + moved, released)
            gain = -_posted(entry, book, contract.item, REALISED)
            if released or gain:
                disposals.append(Disposal("", name, entry.ts_ns, entry.ts_ns, 0, released, gain))
            continue
        price = Decimal(entry.meta["price"])
        disposals += lots.trade(entry.ts_ns, name, moved, price, (picks or {}).get(entry.seq, ()))
    return lots, disposals


def _posted(entry: Entry, book: str, item: str, role: str) -> int:
    return sum(a for account, a in entry.postings if (account.role, account.item, account.book) == (role, item, book))
