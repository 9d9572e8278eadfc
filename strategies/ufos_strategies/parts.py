"""Takes a recording apart: what a study fits on, what it judges on, and which sessions an instrument has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.recording import TableKind
from ufos_nautilus.pricing.horizon import SessionCalendar, SessionEnd

PARTS_MAX = 30
"""Sessions of one recording that are taken apart."""
DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends inclusive."""

    start: datetime
    end: datetime


def what_to_compare(catalogs: Sequence[Path], instrument_id: str = "") -> list[tuple[Path, str]]:
    """Return (catalog, instrument) of every instrument with quotes and trades, or of the one named.

    Raises
    ------
    DataError
        Where a catalog does not have it, or nothing can be compared at all.

    """
    found = []
    for path in catalogs:
        catalog = Catalog.open(path)
        if instrument_id:
            catalog.instrument(instrument_id)
        kinds = {n: {t.kind for t in catalog.tables(n)} for n in catalog.instruments()}
        whole = [n for n, found_kinds in kinds.items() if {"quotes", "trades"} <= found_kinds]
        names = [instrument_id] if instrument_id else whole or [n for n in kinds if kinds[n]]
        found += [(path, n) for n in names]
    if not found:
        raise DataError("the catalogs hold no market data", next_step="ufos data list CATALOG")
    return found


def session_of(path: Path, instrument_id: str, text: str = "") -> SessionEnd | None:
    """Return the sessions of an instrument: as written, New York's for shares over several days, none otherwise.

    Parameters
    ----------
    path : Path
        Catalog.
    instrument_id : str
        The instrument.
    text : str
        ``OPEN-CLOSE@ZONE``, for example ``09:30-16:00@America/New_York``.

    """
    if text:
        hours, _, zone = text.partition("@")
        opens, dash, closes = hours.partition("-")
        try:
            return SessionEnd(SessionCalendar(time.fromisoformat(opens), time.fromisoformat(closes), zone or "UTC"))
        except ValueError as error:
            raise SpecError(
                f"the session {text!r} can't be read: {error}" if dash else f"the session {text!r} has no close",
                expected="OPEN-CLOSE@ZONE, for example 09:30-16:00@America/New_York",
            ) from error
    catalog = Catalog.open(path)
    days = [t.last_ns - t.first_ns for t in catalog.tables(instrument_id) if t.kind == "trades"]
    if catalog.instrument(instrument_id).kind == "equity" and days and days[0] > DAY_NS:
        return SessionEnd(SessionCalendar(time(9, 30), time(16), "America/New_York"))
    return None


def spans(catalog: Catalog, instrument_id: str, session: SessionEnd | None = None) -> tuple[Span, Span]:
    """Return the part to fit and the part to judge.

    With sessions the first and the second one in the recording, without the first and the second half of its time.

    Raises
    ------
    DataError
        Where there are no trades to fit, or fewer than two sessions.

    """
    parts = parts_of(catalog, instrument_id, session, "trades")
    if len(parts) < 2:
        raise DataError("the recording holds fewer than two sessions", expected="one to fit and one to judge")
    return parts[0], parts[1]


def parts_of(catalog: Catalog, instrument_id: str, session: SessionEnd | None, kind: TableKind) -> list[Span]:
    """Return the sessions of a table, or the two halves of its time; at most `PARTS_MAX`.

    Raises
    ------
    DataError
        Where there is no such table.

    """
    table = next((t for t in catalog.tables(instrument_id) if t.kind == kind), None)
    if table is None:
        raise DataError(f"{instrument_id} has no {kind}", expected="tables quotes and trades")
    if session is None:
        middle = (table.first_ns + table.last_ns) // 2
        return [Span(_utc(table.first_ns), _utc(middle)), Span(_utc(middle + 1), _utc(table.last_ns))]
    found, at = [], table.first_ns
    while len(found) < PARTS_MAX:
        one = session.session(at)
        if one.open_ns >= table.last_ns:
            break
        found.append(Span(_utc(one.open_ns), _utc(one.close_ns - 1)))
        at = one.close_ns
    return found


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns // 1_000 % 1_000_000)
