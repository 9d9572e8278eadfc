"""Databento Binary Encoding (DBN) through the engine's own loader: MBO, MBP-1, BBO, trades and OHLCV bars.

Instruments come from definition files, which are read first. The loader's objects become tables through the engine's
Arrow writers, one instrument at a time.

Options: ``publishers`` (a JSON file as Databento's API lists publishers; without it only GLBX.MDP3 is known).
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
from nautilus_trader import model, serialization
from nautilus_trader.adapters.databento import DatabentoDataLoader

from ufos_adapters.files import sources
from ufos_adapters.files.dbn_files import check_complete
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording, TableKind
from ufos_nautilus.market.tables import SCHEMAS

PUBLISHERS: Final = [
    {"publisher_id": 1, "dataset": "GLBX.MDP3", "venue": "GLBX", "description": "CME Globex MDP 3.0"},
]
LOADERS: Final[dict[str, tuple[TableKind, str]]] = {
    "mbo": ("order_book_deltas", "load_order_book_deltas"),
    "mbp-1": ("quotes", "load_quotes"),
    "bbo-1s": ("quotes", "load_bbo_quotes"),
    "bbo-1m": ("quotes", "load_bbo_quotes"),
    "cmbp-1": ("quotes", "load_cmbp_quotes"),
    "cbbo-1s": ("quotes", "load_cbbo_quotes"),
    "cbbo-1m": ("quotes", "load_cbbo_quotes"),
    "trades": ("trades", "load_trades"),
    "tbbo": ("trades", "load_tbbo_trades"),
    "tcbbo": ("trades", "load_tcbbo_trades"),
    **{f"ohlcv-{step}": ("bars", "load_bars") for step in ("1s", "1m", "1h", "1d")},
}
"""DBN schema -> table and the loader's method."""
WRITERS: Final[dict[TableKind, Callable[[Any], bytes]]] = {
    "order_book_deltas": serialization.book_deltas_to_arrow_record_batch_bytes,
    "quotes": serialization.quotes_to_arrow_record_batch_bytes,
    "trades": serialization.trades_to_arrow_record_batch_bytes,
    "bars": serialization.bars_to_arrow_record_batch_bytes,
}


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read DBN files; at least one of them holds the definitions of the instruments in the others.

    Parameters
    ----------
    files : sequence of Path
        ``.dbn`` or ``.dbn.zst`` files. They are read in the order of their names, which Databento's dates make the
        order of time, one in memory at a time.
    options : ReadOptions
        Ids and grids come from the definitions, so nothing but ``publishers`` can be set.

    Returns
    -------
    Recording
        Futures, options and equities of the definitions and their rows; other instruments are left out and counted.

    Raises
    ------
    DataError
        A file is no DBN, is damaged, has a schema without a table here, or an instrument is not defined.
    LimitExceededError
        A file is larger than `limits.DBN_FILE_BYTES_MAX`.
    SpecError
        An option can't be used.

    """
    extra = sources.check_options(options, "databento", ("publishers",))
    if options.instrument_id or options.tick_size or options.lot_size:
        raise SpecError(
            "databento takes instrument ids and grids from the definition file", expected="no id, tick or lot size"
        )
    loader = _loader(extra.get("publishers", ""))
    schemas = {path: _schema(loader, path) for path in sorted(files, key=lambda path: path.name)}
    recording = Recording(instruments=[], batches=iter(()))
    defects = sources.DefectLog(recording.defects)
    recording.instruments = _instruments(loader, [p for p, s in schemas.items() if s == "definition"], defects)
    data = [(path, schema) for path, schema in schemas.items() if schema != "definition"]
    known = {spec.instrument_id for spec in recording.instruments}
    recording.batches = _batches(loader, data, known, recording, options)
    return recording


def _loader(publishers: str) -> DatabentoDataLoader:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(PUBLISHERS, file)
        file.flush()
        try:
            return DatabentoDataLoader(publishers or file.name)
        except (ValueError, OSError) as error:
            raise SpecError(
                f"publishers file {publishers} can't be read: {error}",
                expected='[{"publisher_id": 1, "dataset": "GLBX.MDP3", "venue": "GLBX", "description": "CME"}]',
            ) from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what the loader raises into an error that names the file."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        if "price_precision" in str(error):
            raise DataError(
                f"{path.name}: {str(error).partition(':')[0]}",
                expected="the definition of each instrument",
                next_step="give the definition file along with the data",
            ) from error
        raise DataError(
            f"{path.name} can't be read as DBN: {str(error)[:300]}",
            expected="a complete .dbn or .dbn.zst file of a known publisher",
            next_step="fetch the file again, or give `publishers` where the dataset is not GLBX.MDP3",
        ) from error


def _schema(loader: DatabentoDataLoader, path: Path) -> str:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}", expected="a readable file") from error
    if size > limits.DBN_FILE_BYTES_MAX:
        raise LimitExceededError(
            f"{path.name} has {size:,} bytes",
            expected=f"at most {limits.DBN_FILE_BYTES_MAX:,}: the loader holds a whole file in memory",
            next_step="ask Databento for files split by day or by instrument",
        )
    check_complete(path)
    with _naming(path):
        schema = loader.schema_for_file(path)
    if schema != "definition" and schema not in LOADERS:
        raise DataError(f"{path.name} has schema {schema}", expected=f"definition, {', '.join(LOADERS)}")
    return schema


def _instruments(
    loader: DatabentoDataLoader, paths: Sequence[Path], defects: sources.DefectLog
) -> list[InstrumentSpec]:
    specs: dict[str, InstrumentSpec] = {}
    for path in paths:
        with _naming(path):
            defined = loader.load_instruments(path, True)
        for instrument in defined:
            spec = to_spec(instrument)
            if spec is None:
                name = f"{instrument.id} ({type(instrument).__name__})"
                defects.add("unsupported_instrument", 1, "dropped with its rows", [name])
            else:
                specs[spec.instrument_id] = spec
    return list(specs.values())


def to_spec(instrument: Any) -> InstrumentSpec | None:
    """Return the plain form of an engine instrument; None for a kind that has none (spreads, for example)."""
    fields: dict[str, Any] = {
        "instrument_id": str(instrument.id),
        "quote": str(instrument.quote_currency),
        "settlement": str(instrument.quote_currency),
        "tick_size": Decimal(str(instrument.price_increment)),
        "lot_size": Decimal(str(instrument.lot_size or instrument.size_increment)),
        "price_precision": instrument.price_precision,
        "size_precision": instrument.size_precision,
        "multiplier": Decimal(str(instrument.multiplier)),
    }
    if isinstance(instrument, model.Equity):
        return InstrumentSpec(kind="equity", base=str(instrument.symbol), **fields)
    if not isinstance(instrument, model.FuturesContract | model.OptionContract):
        return None
    fields |= {
        "base": str(instrument.underlying),
        "underlying": str(instrument.underlying),
        "activation_ns": instrument.activation_ns,
        "expiration_ns": instrument.expiration_ns,
    }
    if isinstance(instrument, model.FuturesContract):
        return InstrumentSpec(kind="future", **fields)
    right = "CALL" if instrument.option_kind == model.OptionKind.CALL else "PUT"
    strike = Decimal(str(instrument.strike_price))
    return InstrumentSpec(kind="option", option_right=right, strike=strike, **fields)


def _batches(
    loader: DatabentoDataLoader,
    data: Sequence[tuple[Path, str]],
    known: set[str],
    recording: Recording,
    options: ReadOptions,
) -> Iterator[Batch]:
    defects = sources.DefectLog(recording.defects)
    read_rows: dict[str, int] = {}
    recording.facts["rows"] = read_rows
    for path, schema in data:
        kind, method = LOADERS[schema]
        with _naming(path):
            rows = getattr(loader, method)(path)
        if options.progress:
            options.progress(len(rows))
        read_rows[path.name] = len(rows)
        for identifier, objects in _by_identifier(rows, kind).items():
            instrument_id = str(objects[0].bar_type.instrument_id) if kind == "bars" else identifier
            if instrument_id not in known:
                defects.add("undefined_instrument", len(objects), "dropped", [f"{path.name}: {instrument_id}"])
                continue
            frame = _frame(objects, kind, f"{path.name}: {identifier}", defects)
            for piece in frame.iter_slices(limits.SOURCE_BATCH_ROWS):
                yield Batch(kind, identifier, instrument_id, piece)


def _by_identifier(rows: Sequence[Any], kind: TableKind) -> Mapping[str, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.bar_type if kind == "bars" else row.instrument_id, []).append(row)
    return {str(key): group for key, group in groups.items()}


def _frame(objects: Sequence[Any], kind: TableKind, where: str, defects: sources.DefectLog) -> pl.DataFrame:
    """Turn objects of one identifier into a table of the catalog."""
    schema = SCHEMAS[kind]
    frame = pl.read_ipc_stream(WRITERS[kind](objects)).select(pl.col(name).cast(schema[name]) for name in schema)
    if kind == "order_book_deltas":
        # CLEAR carries no price.
        frame = frame.with_columns(
            pl.when(pl.col("action") == "CLEAR").then(pl.col("price").fill_null(0)).otherwise("price")
        )
    if kind == "trades":
        # The loader's id is the exchange's sequence number, which the trades of one event share.
        again = pl.col("trade_id").cum_count().over("trade_id")
        unique = pl.when(again > 1).then(pl.format("{}-{}", "trade_id", again)).otherwise("trade_id")
        frame = frame.with_columns(unique.alias("trade_id"))
    empty = frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
    defects.add("row_without_price", int(empty.sum()), "dropped", [where])
    frame = frame.filter(~empty)
    backwards = int((frame["ts_init"].diff().dt.total_nanoseconds() < 0).sum())
    defects.add("time_backwards", backwards, "repaired: sorted by receive time", [where])
    return frame.sort("ts_init", maintain_order=True) if backwards else frame
