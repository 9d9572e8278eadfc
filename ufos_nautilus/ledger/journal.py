"""Journal entries that balance, chained by SHA-256: sealing them and checking them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from ufos_nautilus.errors import DataError, IntegrityError, LimitExceededError
from ufos_nautilus.ledger.accounts import Account
from ufos_nautilus.limits import (
    LEDGER_META_BYTES_MAX,
    LEDGER_NAME_CHARS_MAX,
    LEDGER_POSTINGS_PER_ENTRY_MAX,
    LEDGER_UNITS_MAX,
)

FORMAT: Final = "ufos-ledger-1"
"""First element of every entry's canonical bytes; a change of form is a new name."""
GENESIS: Final = bytes(32)
"""Hash that the first entry names as its predecessor's."""
KINDS: Final = frozenset(
    {
        "asset", "contract", "deposit", "withdrawal", "transfer", "fill", "cross", "fee", "transfer_fee", "funding",
        "dividend", "split", "fx", "reversal",
    }
)  # fmt: skip
DEFINITIONS: Final = frozenset({"asset", "contract"})
"""Kinds of entry that define terms and move nothing."""

Meta = Mapping[str, str | int]
_canonical = msgspec.json.Encoder(order="deterministic")


class Posting(NamedTuple):
    """One amount on one account, in smallest units of the account's asset."""

    account: Account
    amount: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has its place in the chain.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    ts_ns : int
        UNIX nanoseconds of what happened.
    ref : str
        Name of what happened, such as a trade id; a kind and a name that is not empty can be booked only once.
    postings : tuple of Posting
        They add up to zero for every asset.
    meta : mapping
        Text and whole numbers that explain the entry: price, item, parties.
    reverses : int or None
        Sequence number of the entry that this one takes back.

    """

    kind: str
    ts_ns: int
    ref: str
    postings: tuple[Posting, ...]
    meta: Meta
    reverses: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in its place in the chain; `meta` is canonical JSON text, so that hashing needs no decoding."""

    seq: int
    ts_ns: int
    kind: str
    ref: str
    postings: tuple[Posting, ...]
    meta_json: str
    reverses: int | None
    prev_hash: bytes
    hash: bytes

    @property
    def meta(self) -> dict[str, Any]:
        """Return the decoded explanation of the entry."""
        return msgspec.json.decode(self.meta_json)


class Head(NamedTuple):
    """Where a chain ends; whoever keeps it can tell whether the tail was cut off."""

    seq: int = 0
    hash: bytes = GENESIS
    postings: int = 0


def canonical_meta(meta: Meta) -> str:
    """Return an explanation as canonical JSON: sorted keys, no blanks, text and whole numbers only.

    Raises
    ------
    DataError
        If a value is neither text nor a whole number; floats have no place here.
    LimitExceededError
        If it is too long.

    """
    for key, value in meta.items():
        if type(key) is not str or (type(value) is not str and type(value) is not int):
            raise DataError(
                f"meta {key!r} is {value!r}", expected="text or a whole number", next_step="write decimals as text"
            )
    encoded = _canonical.encode(meta)
    if len(encoded) > LEDGER_META_BYTES_MAX:
        raise LimitExceededError(f"meta has {len(encoded)} bytes", expected=f"at most {LEDGER_META_BYTES_MAX}")
    return encoded.decode()


def entry_hash(
    prev_hash: bytes,
    seq: int,
    ts_ns: int,
    kind: str,
    ref: str,
    reverses: int | None,
    meta_json: str,
    postings: Sequence[Posting],
) -> bytes:
    """Return SHA-256 over the previous hash and the entry's canonical bytes.

    The bytes are JSON without blanks: ``[format, seq, ts_ns, kind, ref, reverses, meta, [[[book, asset, role, venue,
    item], amount], ...]]`` with meta as text.
    """
    body = _canonical.encode((FORMAT, seq, ts_ns, kind, ref, reverses, meta_json, postings))
    return hashlib.sha256(prev_hash + body).digest()


def check_draft(draft: Draft) -> None:
    """Refuse a draft that could not stand in the journal.

    Raises
    ------
    DataError
        If the kind is unknown, an asset does not balance, an amount is no whole number or zero, or a definition moves
        something.
    LimitExceededError
        If there are too many postings or an amount does not fit.

    """
    if draft.kind not in KINDS:
        raise DataError(f"there is no kind of entry {draft.kind!r}", expected=f"one of {', '.join(sorted(KINDS))}")
    if type(draft.ts_ns) is not int or not 0 <= draft.ts_ns <= LEDGER_UNITS_MAX:
        raise DataError(f"time is {draft.ts_ns!r}", expected="UNIX nanoseconds")
    if len(draft.ref) > LEDGER_NAME_CHARS_MAX * 4 or not (draft.ref.isprintable()):
        raise DataError(
            f"reference {draft.ref[:20]!r}... is too long or not printable",
            expected=f"at most {LEDGER_NAME_CHARS_MAX * 4} printable characters",
        )
    if (draft.kind == "reversal") != (draft.reverses is not None):
        raise DataError(
            f"{draft.kind} {draft.ref!r} reverses {draft.reverses}", expected="a reversal names the entry it takes back"
        )
    problem = posting_problem(draft.kind, draft.postings)
    if problem:
        raise DataError(f"{draft.kind} {draft.ref!r}: {problem}", expected="postings that add up to zero per asset")
    if len(draft.postings) > LEDGER_POSTINGS_PER_ENTRY_MAX:
        raise LimitExceededError(
            f"{draft.kind} {draft.ref!r} has {len(draft.postings)} postings",
            expected=f"at most {LEDGER_POSTINGS_PER_ENTRY_MAX}",
        )


def posting_problem(kind: str, postings: Sequence[Posting]) -> str:
    """Return what is wrong with the postings of an entry, or nothing."""
    if (kind in DEFINITIONS) == bool(postings):
        return f"{len(postings)} postings"
    sums: dict[str, int] = {}
    for account, amount in postings:
        if type(amount) is not int or not amount or not -LEDGER_UNITS_MAX <= amount <= LEDGER_UNITS_MAX:
            return f"amount {amount!r} on {'/'.join(account)}"
        asset = account.asset
        sums[asset] = sums.get(asset, 0) + amount
    off = {asset: total for asset, total in sums.items() if total}
    return f"does not balance: {off}" if off else ""


def seal(head: Head, drafts: Iterable[Draft], *, checked: bool = False) -> tuple[list[Entry], Head]:
    """Give drafts their place in the chain.

    Parameters
    ----------
    head : Head
        Where the chain ends now.
    drafts : iterable of Draft
        In order; each is checked.
    checked : bool
        `check_draft` has seen each of them already.

    Returns
    -------
    list of Entry and Head
        The entries and where the chain ends with them.

    """
    seq, prev, count = head
    entries: list[Entry] = []
    for draft in drafts:
        if not checked:
            check_draft(draft)
        seq += 1
        meta_json = canonical_meta(draft.meta)
        digest = entry_hash(prev, seq, draft.ts_ns, draft.kind, draft.ref, draft.reverses, meta_json, draft.postings)
        entries.append(
            Entry(seq, draft.ts_ns, draft.kind, draft.ref, draft.postings, meta_json, draft.reverses, prev, digest)
        )
        prev = digest
        count += len(draft.postings)
    return entries, Head(seq, prev, count)


class Chain:
    """Checks entries one after another: sequence without holes, links, hashes, balance, canonical form.

    Parameters
    ----------
    head : Head
        Where the chain ends before the first entry; the beginning unless given.

    """

    def __init__(self, head: Head = Head()) -> None:  # noqa: B008 - immutable
        self.head = head

    def problems(self, entry: Entry) -> list[str]:
        """Return what is wrong with the next entry; empty where nothing is. Goes on from what the entry says."""
        found: list[str] = []
        if entry.seq != self.head.seq + 1:
            found.append(f"follows entry {self.head.seq}")
        if entry.prev_hash != self.head.hash:
            found.append("does not name the hash of the entry before it")
        digest = entry_hash(
            entry.prev_hash,
            entry.seq,
            entry.ts_ns,
            entry.kind,
            entry.ref,
            entry.reverses,
            entry.meta_json,
            entry.postings,
        )
        if digest != entry.hash:
            found.append("content does not match its hash")
        if entry.kind not in KINDS:
            found.append(f"unknown kind {entry.kind!r}")
        problem = posting_problem(entry.kind, entry.postings)
        if problem:
            found.append(problem)
        self.head = Head(entry.seq, entry.hash, self.head.postings + len(entry.postings))
        return [f"entry {entry.seq}: {text}" for text in found]

    def accept(self, entry: Entry) -> Entry:
        """Return the entry if it is the right next one.

        Raises
        ------
        IntegrityError
            If it is not.

        """
        found = self.problems(entry)
        if found:
            raise IntegrityError(
                found[0],
                expected="an unbroken chain of balanced entries",
                next_step="`ufos ledger check` lists all that differs; restore the store from a backup",
            )
        return entry


def add_pair(postings: list[Posting], debit: Account, credit: Account, units: int) -> None:
    """Append two postings that balance: `units` to `debit`, minus `units` to `credit`; none where `units` is zero."""
    if units:
        postings += (Posting(debit, units), Posting(credit, -units))


def reversal_problem(reversal: Entry | Draft, original: Entry | Draft | None) -> str:
    """Return what is wrong with taking back `original` by `reversal`, or nothing."""
    if original is None:
        return f"reverses entry {reversal.reverses}, which is not there"
    if original.kind in DEFINITIONS or original.kind == "reversal":
        return f"reverses entry {reversal.reverses}, a {original.kind}"
    negated = tuple(Posting(account, -amount) for account, amount in original.postings)
    if reversal.postings != negated:
        return f"is not the exact opposite of entry {reversal.reverses}"
    return ""
