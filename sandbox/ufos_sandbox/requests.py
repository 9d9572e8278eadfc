"""Turns what a caller asks for into a run spec for one book, with venues that suit its instruments."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ufos_nautilus.engine.spec_file import parse_spec
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import SANDBOX_CODE_BYTES_MAX, SANDBOX_PARAMS_BYTES_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_sandbox.slices import Slice

BOOK_ID = "BOOK-1"
START_AMOUNT = 1_000_000
LEVERAGE = 10
CLASS_PATH = "strategy:Strategy"


def check_code(code: str) -> str:
    """Return the code, or raise where it can't be one.

    Raises
    ------
    SpecError, LimitExceededError
        It is empty, no text, or too long.

    """
    if not isinstance(code, str) or not code.strip():
        raise SpecError("there is no code", expected="Python source that defines one ufos_nautilus.engine.Book")
    try:
        size = len(code.encode())
    except UnicodeEncodeError:
        raise SpecError("the code holds characters that are no text", expected="UTF-8 text") from None
    if size > SANDBOX_CODE_BYTES_MAX:
        raise LimitExceededError(f"the code has {size:,} bytes", expected=f"at most {SANDBOX_CODE_BYTES_MAX:,}")
    return code


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """A run spec in its two plain forms."""

    data: dict[str, Any]
    """JSON-ready, with all defaults."""
    marked: dict[str, Any]
    """The same with decimals marked, as a guest takes it."""


def check_spec(data: dict[str, Any]) -> CheckedSpec:
    """Validate a run spec on the host.

    Raises
    ------
    SpecError
        Naming the key, what came and the nearest valid key.

    """
    spec = parse_spec(data, "request")
    return CheckedSpec(spec.model_dump(mode="json"), _marked(spec.model_dump()))


def _marked(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dict):
        return {k: _marked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(v) for v in value]
    return value


def make_spec(
    part: Slice,
    params: Mapping[str, Any] | None,
    *,
    venues: Sequence[Mapping[str, Any]] | None = None,
    seed: int = 1,
    name: str = "sandbox",
    book_id: str = BOOK_ID,
    sections: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a run spec over a slice, not yet validated.

    Parameters
    ----------
    part : Slice
        The data.
    params : mapping, optional
        Parameters of the book's own config.
    venues : sequence of mapping, optional
        Venue entries of a run spec; `default_venues` unless given.
    seed : int
        Of the run.
    name, book_id : str
        Of the run and of its book.
    sections : mapping, optional
        Further sections of the spec: ``risk`` and ``recording``.

    """
    try:
        text = json.dumps(dict(params or {}), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"the parameters are no plain JSON: {error}", expected="names with JSON values") from None
    if len(text) > SANDBOX_PARAMS_BYTES_MAX:
        raise LimitExceededError(
            f"the parameters have {len(text):,} bytes", expected=f"at most {SANDBOX_PARAMS_BYTES_MAX:,}"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9]*-[A-Z0-9-]{1,32}", book_id):
        raise SpecError(
            f"book id {book_id!r}", expected="upper-case letters and digits with a dash, for example BOOK-1"
        )
    unknown = set(sections or {}) - {"risk", "recording"}
    if unknown:
        raise SpecError(f"a sandboxed run has no section {sorted(unknown)[0]!r}", expected="risk or recording")
    return {
        "name": name,
        "seed": seed,
        "data": [{"catalog": "slice"}],
        "venues": [dict(v) for v in venues] if venues is not None else default_venues(part),
        "books": [{"id": book_id, "class_path": CLASS_PATH, "params": json.loads(text)}],
        "ledger": {"enabled": False},
        **(sections or {}),
    }


def default_venues(part: Slice) -> list[dict[str, Any]]:
    """Return one margin venue for each venue of the slice: full depth where it has books, a million to start with."""
    grouped: dict[str, list[InstrumentSpec]] = {}
    for instrument in part.instruments.values():
        grouped.setdefault(instrument.venue, []).append(instrument)
    deep = {part.instruments[t.instrument_id].venue for t in part.tables if t.kind == "order_book_deltas"}
    return [
        {
            "name": venue,
            "balances": [f"{START_AMOUNT} {code}" for code in sorted({i.settlement for i in instruments})],
            "leverage": LEVERAGE,
            "book": "L2" if venue in deep else "L1",
        }
        for venue, instruments in sorted(grouped.items())
    ]
