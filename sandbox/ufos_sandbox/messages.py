"""The messages of a guest as the host accepts them: strict JSON of known fields, sizes and words, nothing else."""

import re
import unicodedata
from typing import Annotated, Literal

import msgspec

from ufos_nautilus.limits import SANDBOX_MESSAGE_CHARS_MAX, SANDBOX_RESULT_ROWS_MAX

Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[A-Za-z0-9_.:@^=+/ -]*\Z")]
Number = Annotated[str, msgspec.Meta(max_length=48, pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,24})?(E-[0-9]{1,2})?\Z")]
"""As Python writes a decimal: a fee of nothing in a currency with eight places is ``0E-8``."""
Currency = Annotated[str, msgspec.Meta(max_length=12, pattern=r"^[A-Z0-9]{2,12}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Nanos = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Side = Literal["BUY", "SELL"]
Millis = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Text = Annotated[str, msgspec.Meta(max_length=8192)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: unknown fields are refused."""


class Order(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An order as the recorder writes it."""

    ts_init: Nanos
    client_order_id: Name
    book: Name
    instrument_id: Name
    side: Side
    order_type: Name
    quantity: Number
    price: Number | None
    status: Name
    filled_quantity: Number
    avg_price: Number | None
    ts_last: Nanos
    tags: Annotated[str, msgspec.Meta(max_length=256)]

    def __iter__(self):
        return iter(msgspec.structs.astuple(self))


class Fill(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A fill as the recorder writes it, without the market beside it."""

    ts: Nanos
    trade_id: Name
    client_order_id: Name
    venue_order_id: Name
    book: Name
    instrument_id: Name
    side: Side
    price: Number
    quantity: Number
    liquidity: Literal["MAKER", "TAKER"]
    commission: Number
    commission_currency: Currency

    def __iter__(self):
        return iter(msgspec.structs.astuple(self))


class Counts(Strict, frozen=True):
    """What a recorder counted."""

    orders: Count
    fills: Count
    denied: Count
    rejected: Count


class Hashes(Strict, frozen=True):
    """Digests over orders and fills."""

    orders: Digest
    fills: Digest


class GuestResult(Strict, frozen=True):
    """The one result of a run."""

    iterations: Count
    events: Count
    counts: Counts
    hashes: Hashes
    balances: dict[Name, dict[Currency, Number]]
    orders: Annotated[list[Order], msgspec.Meta(max_length=SANDBOX_RESULT_ROWS_MAX)]
    late: Annotated[list[Order], msgspec.Meta(max_length=SANDBOX_RESULT_ROWS_MAX)]
    """Orders that ended after recording did; no part of the digest."""
    fills: Annotated[list[Fill], msgspec.Meta(max_length=SANDBOX_RESULT_ROWS_MAX)]
    run_ms: Millis


class GuestError(Strict, frozen=True):
    """What was wrong with the code."""

    phase: Literal["compile", "exec", "build", "callback", "run", "result"]
    type: Annotated[str, msgspec.Meta(max_length=80)]
    message: Text
    line: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class Ready(Strict, frozen=True):
    """The first message: the engine is imported."""

    protocol: Count
    landlock: Count
    import_ms: Millis


class Loaded(Strict, frozen=True):
    """Sent after the locks and before foreign code exists, so that its content can be believed."""

    rows: Count
    items: Count
    start_ns: Nanos
    slice_ms: Millis
    load_ms: Millis
    lock_ms: Millis


class End(Strict, frozen=True):
    """The last message, from process 1: how the worker ended."""

    reason: Literal["done", "deadline", "idle", "host gone"]
    exit: Annotated[int, msgspec.Meta(ge=-128, le=255)]
    memory_kb: Count
    cpu_ms: Count


class Message(Strict, frozen=True, omit_defaults=True):
    """Exactly one of these is set."""

    ready: Ready | None = None
    refused: Text | None = None
    fatal: Text | None = None
    loaded: Loaded | None = None
    progress: Nanos | None = None
    result: GuestResult | None = None
    error: GuestError | None = None
    end: End | None = None


_decoder = msgspec.json.Decoder(Message, strict=True)


class ProtocolError(Exception):
    """A guest sent something that is no message."""


def decode(body: bytes) -> tuple[str, object]:
    """Return kind and content of one message.

    Raises
    ------
    ProtocolError
        It is no JSON, or not of the known shape.

    """
    try:
        message = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ProtocolError(clean(str(error))) from None
    given = [(f, v) for f in message.__struct_fields__ if (v := getattr(message, f)) is not None]
    if len(given) != 1:
        raise ProtocolError(f"a message with {len(given)} parts")
    return given[0]


_SPACES = re.compile(r"[ \t]{2,}")


def clean(text: str, limit: int = SANDBOX_MESSAGE_CHARS_MAX) -> str:
    """Return text from a guest without control, formatting or private characters, cut to a limit.

    Terminal escapes, direction marks and invisible characters would otherwise reach a terminal or a reader.
    """
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text[: limit * 4])
    kept = _SPACES.sub(" ", kept).strip()
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"
