"""What a reader of any format hands over: instruments, tables in time order, and what was wrong with the source."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ufos_nautilus.market.instruments import InstrumentSpec

TableKind = Literal["order_book_deltas", "quotes", "trades", "bars"]


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect found in a source and what was done about it.

    Parameters
    ----------
    code : str
        Stable name, for example ``"sequence_gap"``.
    count : int
        Rows or messages concerned.
    action : str
        ``"kept"``, ``"dropped"``, ``"repaired: ..."`` or ``"carried forward"``.
    examples : tuple of str
        At most `limits.DEFECT_EXAMPLES_MAX` places, readable by a person.

    """

    code: str
    count: int
    action: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, sorted by `ts_init`, later than all earlier batches of the same kind and identifier.

    `identifier` is the instrument id, for bars the bar type.
    """

    kind: TableKind
    identifier: str
    instrument_id: str
    frame: pl.DataFrame


@dataclass(slots=True)
class Recording:
    """A source being read: `batches` is consumed once, `defects` and `facts` are complete when it is exhausted."""

    instruments: Sequence[InstrumentSpec]
    batches: Iterator[Batch]
    defects: list[Defect] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options that readers share; each reader refuses those that mean nothing to it.

    Parameters
    ----------
    instrument_id : str
        Overrides the id derived from the source.
    tick_size, lot_size : str
        Decimal text; overrides what is derived from the source.
    extra : dict
        Reader-specific ``name -> text`` options, validated by the reader.
    progress : callable or None
        Called with the number of source rows read since the last call.

    """

    instrument_id: str = ""
    tick_size: str = ""
    lot_size: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    progress: Callable[[int], None] | None = None


Reader = Callable[[Sequence[Path], ReadOptions], Recording]
