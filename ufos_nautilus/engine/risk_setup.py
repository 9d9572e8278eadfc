"""Puts limits into a run or node: the gate, what it knows of books and instruments, its record, and the watchdog."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.dark import DARK_VENUE, dark_id
from ufos_nautilus.engine.house_setup import starting_capital
from ufos_nautilus.engine.risk_actions import BookHands
from ufos_nautilus.engine.risk_audit import RISK_FILE, RiskAudit
from ufos_nautilus.engine.risk_gate import RiskGate
from ufos_nautilus.engine.sources import Sources
from ufos_nautilus.engine.spec import RunSpec
from ufos_nautilus.engine.watchdog import NS_PER_S, Watchdog
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import RISK_LOOKS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.halt_flag import HaltFlag
from ufos_nautilus.risk.rules import RiskRules
from ufos_nautilus.risk.state import Firm

Capital = Mapping[str, Iterable[tuple[str, str, Decimal]]]
"""Book -> (venue, currency, amount) of what it starts with."""


@dataclass(slots=True)
class RiskParts:
    """What watches a run or node."""

    gate: RiskGate
    watchdog: Watchdog
    audit: RiskAudit
    flag: HaltFlag

    def finish(self) -> dict[str, Any]:
        """Seal the record; return counts and how it ends, for the run's summary."""
        figures = self.watchdog.figures()
        seal = self.audit.seal()
        end = {"records": seal.records, "head": seal.head} if seal else {}
        rules = self.gate.limits.rules
        return {"limits": rules.name, "version": rules.version, "digest": rules.digest(), **figures, "audit": end}


def make_firm(
    limits: Limits, kinds: Mapping[str, str], capital: Capital, instruments: Iterable[InstrumentSpec]
) -> Firm:
    """Return what the gate knows before anything is traded.

    Parameters
    ----------
    limits : Limits
        Their capital goes before what a book starts with.
    kinds : mapping
        Book -> kind.
    capital : mapping
        Book -> what it starts with.
    instruments : iterable of InstrumentSpec
        Lit instruments; one whose currency has no rate stays unknown, so that its orders are denied.

    """
    firm = Firm()
    for book, kind in kinds.items():
        allocated = limits.capital(book)
        firm.add_book(book, kind, starting_money(limits, capital.get(book, ())) if allocated is None else allocated)
    for spec in instruments:
        rate, settle = limits.rate(spec.quote), limits.rate(spec.settlement)
        if rate is None or settle is None:
            continue
        firm.add_instrument(
            spec.instrument_id,
            multiplier=to_fixed(spec.multiplier),
            rate=rate,
            settle_rate=settle,
            inverse=spec.inverse,
            currency=spec.settlement,
        )
    return firm


def starting_money(limits: Limits, amounts: Iterable[tuple[str, str, Decimal]]) -> int | None:
    """Return what a book starts with in the limits' currency, or None where that is nothing or has no rate."""
    total = 0
    for _, code, amount in amounts:
        rate = limits.rate(code)
        if rate is None:
            return None
        total += to_fixed(amount) * rate // SCALE
    return total or None


def make_risk(
    rules: RiskRules,
    books: list[Book],
    kinds: Mapping[str, str],
    capital: Capital,
    instruments: Mapping[str, InstrumentSpec],
    *,
    crossed: Iterable[str] = (),
    algorithms: frozenset[str] = frozenset(),
    audit: RiskAudit,
    flag: HaltFlag | None = None,
) -> RiskParts:
    """Make gate and watchdog, and put the gate in front of every book.

    Parameters
    ----------
    rules : RiskRules
        The limits file.
    books : list of Book
        All books.
    kinds, capital, instruments
        As for `make_firm`; instruments by id.
    crossed : iterable of str
        Lit instruments that also trade on the internal venue.
    algorithms : frozenset of str
        Execution algorithms there are.
    audit : RiskAudit
        Where decisions go.
    flag : HaltFlag, optional
        Shared with a kill switch.

    """
    limits, flag = Limits(rules), flag or HaltFlag()
    firm = make_firm(limits, kinds, capital, instruments.values())
    venues = {spec.venue for spec in instruments.values()}
    for name in crossed:
        if name in firm.instruments:
            firm.alias(dark_id(instruments[name].symbol), firm.instruments[name])
            venues.add(DARK_VENUE)
    gate = RiskGate(firm, limits, flag, audit, algorithms)
    for book in books:
        book.gate = gate
    watchdog = Watchdog(gate, BookHands(gate, {b.book_id: b for b in books}), sorted(venues))
    return RiskParts(gate, watchdog, audit, flag)


def last_ns(file: Path) -> int:
    """Return when a catalog's file ends, as its name says: ``<start>_<end>.parquet``."""
    moment, _, rest = file.stem.partition("_")[2].rpartition("-")
    at = datetime.strptime(moment, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    return int(at.timestamp()) * NS_PER_S + int(rest.removesuffix("Z"))


def require_few_looks(rules: RiskRules, sources: Sources) -> None:
    """Raise where the watchdog would look so often that the run never ends, as each second of years of daily prices."""
    first = min(t.first_ns for t in sources.tables)
    last = max(last_ns(file) for t in sources.tables for file in t.files)
    needed = (last - first) / 1e9 / RISK_LOOKS_MAX
    if rules.watch_interval_s < needed:
        raise SpecError(
            f"limits are looked at every {rules.watch_interval_s:g} s over {(last - first) / 86_400e9:,.0f} days",
            expected=f"watch_interval_s of {math.ceil(needed)} or more, and a longer max_account_age_s",
            next_step="set both in the limits file for data that is this slow",
        )


def risk_of_run(
    spec: RunSpec,
    rules: RiskRules,
    books: list[Book],
    sources: Sources,
    algorithms: frozenset[str],
    crossed: Iterable[str],
    record: tuple[Path, str],
) -> RiskParts:
    """Make gate and watchdog of a backtest; `record` is the run's directory and id."""
    directory, run_id = record
    require_few_looks(rules, sources)
    return make_risk(
        rules,
        books,
        {b.id: b.kind for b in spec.books},
        starting_capital(spec, dark=False),
        sources.instruments,
        crossed=crossed,
        algorithms=algorithms,
        audit=RiskAudit(directory / RISK_FILE, run_id),
    )
