"""Finds what moves without a trade in a run: corporate actions of its data, deposits and withdrawals of its owners."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.book_accounts import BookAccounts, LedgerIndex
from ufos_nautilus.engine.dark import AgreedTerms
from ufos_nautilus.engine.feed import to_ns
from ufos_nautilus.engine.keeper import LedgerKeeper
from ufos_nautilus.engine.sources import Sources
from ufos_nautilus.engine.spec import RunSpec
from ufos_nautilus.engine.treasury import AccountModule, Action, Flow, Treasury
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.portfolio.securities import Security

ACTIONS = {"dividends": "dividend", "distributions": "distribution", "splits": "split"}
"""Fact of an import -> kind of action."""


def actions_of(spec: RunSpec, sources: Sources) -> list[Action]:
    """Return the corporate actions of a run's instruments in order of time, splits before what is paid per new share.

    An action takes place at midnight UTC of its ex-date, after the close before it and before the open.
    """
    if not (spec.ledger.enabled and spec.ledger.corporate_actions):
        return []
    symbols = {s.symbol for s in sources.instruments.values() if s.kind == "equity"}
    found = [
        Action(to_ns(datetime.fromisoformat(day).replace(tzinfo=UTC)), kind, symbol, Decimal(amount))
        for fact, kind in ACTIONS.items()
        for symbol, entries in sources.facts.get(fact, {}).items()
        if symbol in symbols
        for day, amount in entries
    ]
    order = {"distribution": 0, "dividend": 1, "split": 2}
    return sorted(found, key=lambda a: (a.ts_ns, order[a.kind], a.symbol))


def flows_of(spec: RunSpec) -> list[Flow]:
    """Return deposits and withdrawals of all books in order of time."""
    flows: list[Flow] = []
    for book in spec.books:
        for flow in book.flows:
            amount, _, code = (flow.deposit or flow.withdraw or "").partition(" ")
            signed = Decimal(amount) if flow.deposit else -Decimal(amount)
            flows.append(Flow(to_ns(flow.at), book.id, code, signed, book.venue or spec.venues[0].name))
    return sorted(flows, key=lambda f: (f.ts_ns, f.book))


def currencies_of(spec: RunSpec) -> list[str]:
    """Return the currencies of all venues' balances, in order of code."""
    return sorted({text.partition(" ")[2] for venue in spec.venues for text in venue.balances})


def make_treasury(
    spec: RunSpec,
    sources: Sources,
    keeper: LedgerKeeper,
    index: LedgerIndex,
    modules: Sequence[AccountModule],
    books: Sequence[Book],
    terms: AgreedTerms | None,
) -> Treasury:
    """Make the treasury of a run and tell every book what its owner will put in and take out."""
    flows = flows_of(spec)
    by_venue = {module.venue: module for module in modules}
    treasury = Treasury(keeper, index, sources.instruments, by_venue, actions_of(spec, sources), flows, terms)
    treasury.books = {book.book_id: book for book in books}
    for book in books:
        book.flows = tuple(flow for flow in flows if flow.book == book.book_id)
    return treasury


def give_accounts(books: Sequence[Book], ledger: Ledger, venues: list[str]) -> LedgerIndex:
    """Give every book its view of the ledger; return the index behind them."""
    index = LedgerIndex(ledger, venues)
    for book in books:
        book.accounts = BookAccounts(index, book.book_id)
    return index


def securities_of(sources: Sources, tags: Mapping[str, Sequence[str]] | None = None) -> dict[str, Security]:
    """Return what is known of every instrument of a run by root symbol, as restrictions see it."""
    finer: Mapping[str, Any] = sources.facts.get("sub_industries", {})
    return {
        spec.symbol: Security(
            symbol=spec.symbol,
            instrument_id=name,
            sector=spec.sector,
            sub_industry=str(finer.get(spec.symbol, "")),
            tags=frozenset(t.casefold() for t in (tags or {}).get(spec.symbol, ())),
            lot=spec.lot_size,
        )
        for name, spec in sources.instruments.items()
    }
