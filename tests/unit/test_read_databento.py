"""The databento reader: completeness of files, instruments, and what it refuses."""

from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import (
    AssetClass,
    Currency,
    Equity,
    FuturesContract,
    FuturesSpread,
    InstrumentId,
    OptionContract,
    OptionKind,
    Price,
    Quantity,
    Symbol,
)

from ufos_adapters.files.databento import read, to_spec
from ufos_adapters.files.dbn_files import check_complete
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.recording import ReadOptions

USD = Currency.from_str("USD")
COMMON = {
    "asset_class": AssetClass.INDEX,
    "activation_ns": 1,
    "expiration_ns": 2,
    "currency": USD,
    "price_precision": 2,
    "price_increment": Price.from_str("0.25"),
    "multiplier": Quantity.from_str("50"),
    "lot_size": Quantity.from_str("1"),
    "ts_event": 0,
    "ts_init": 0,
}


def named(name: str) -> dict[str, object]:
    return {"instrument_id": InstrumentId.from_str(f"{name}.XCME"), "raw_symbol": Symbol(name)}


def test_a_future_keeps_multiplier_expiry_and_underlying() -> None:
    spec = to_spec(FuturesContract(**named("ESM4"), underlying="ES", **COMMON))
    assert spec is not None
    assert (spec.kind, spec.instrument_id, spec.underlying, spec.multiplier) == ("future", "ESM4.XCME", "ES", 50)
    assert (spec.tick_size, spec.price_precision, spec.size_precision) == (Decimal("0.25"), 2, 0)
    assert (spec.activation_ns, spec.expiration_ns, spec.quote) == (1, 2, "USD")


def test_an_option_keeps_right_and_strike() -> None:
    option = OptionContract(
        **named("ESM4 P5230"),
        underlying="ESM4",
        option_kind=OptionKind.PUT,
        strike_price=Price.from_str("5230.00"),
        **COMMON,
    )
    spec = to_spec(option)
    assert spec is not None
    assert (spec.kind, spec.option_right, spec.strike, spec.underlying) == ("option", "PUT", 5230, "ESM4")


def test_an_equity_is_one_and_a_spread_has_no_plain_form() -> None:
    equity = Equity(
        InstrumentId.from_str("AAPL.XNAS"),
        Symbol("AAPL"),
        USD,
        2,
        Price.from_str("0.01"),
        0,
        0,
        lot_size=Quantity.from_str("1"),
    )
    spec = to_spec(equity)
    assert spec is not None
    assert (spec.kind, spec.base, spec.lot_size) == ("equity", "AAPL", 1)
    spread = FuturesSpread(**named("ESM4-ESU4"), underlying="ES", strategy_type="EQ", **COMMON)
    assert to_spec(spread) is None


def zstd_frame(blocks: list[bytes], *, checksum: bool = False, magic: bytes = b"\x28\xb5\x2f\xfd") -> bytes:
    """A frame of raw blocks (RFC 8878): window of 1 KiB, no content size."""
    out = magic + bytes([4 if checksum else 0, 0])
    for n, block in enumerate(blocks, 1):
        out += (len(block) << 3 | (n == len(blocks))).to_bytes(3, "little") + block
    return out + b"abcd" * checksum


SKIPPABLE = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"xyz"
COMPLETE = {
    "one frame": zstd_frame([b"hello"]),
    "many blocks": zstd_frame([b"a" * 100, b"", b"b" * 300], checksum=True),
    "many frames": zstd_frame([b"a"]) + SKIPPABLE + zstd_frame([b"b"]),
    "plain": b"DBN\x02" + (5).to_bytes(4, "little") + b"meta." + bytes([2]) + b"1234567" + bytes([1]) + b"123",
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_file_passes_and_no_part_of_it_does(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(COMPLETE[name])
    check_complete(path)
    ends = {"plain": {13, 21}, "many frames": {10, 21}}.get(name, set())
    for length in range(len(COMPLETE[name])):
        if length not in ends:  # at these lengths it is a shorter file, complete in itself
            path.write_bytes(COMPLETE[name][:length])
            with pytest.raises(DataError):
                check_complete(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"time,price\n1,2\n", "is no DBN file"),
        (b"DBN\x02" + (5).to_bytes(4, "little") + b"meta.\x00", "is truncated or damaged"),
        (zstd_frame([b"a"])[:6] + b"\x07\x00\x00", "is truncated or damaged"),
        (zstd_frame([b"a"]) + b"junk" * 9, "is truncated or damaged"),
    ],
)
def test_files_that_are_no_dbn_are_refused_by_name(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read([path], ReadOptions())
    assert f"x.dbn.zst {problem}" in caught.value.problem
    assert caught.value.next_step


def test_a_frame_whose_contents_are_no_dbn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(zstd_frame([b"hello"]))
    with pytest.raises(DataError, match=r"x\.dbn\.zst can't be read as DBN"):
        read([path], ReadOptions())


def test_ids_and_grids_can_not_be_overridden(tmp_path: Path) -> None:
    for options in (ReadOptions("A.B"), ReadOptions(tick_size="1"), ReadOptions(lot_size="1")):
        with pytest.raises(SpecError, match="from the definition file"):
            read([tmp_path / "x.dbn"], options)
    with pytest.raises(SpecError, match="no option 'venue'"):
        read([tmp_path / "x.dbn"], ReadOptions(extra={"venue": "X"}))
    with pytest.raises(SpecError, match="publishers file"):
        read([tmp_path / "x.dbn"], ReadOptions(extra={"publishers": str(tmp_path / "absent.json")}))


def test_a_file_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DBN_FILE_BYTES_MAX", 10)
    (tmp_path / "x.dbn").write_bytes(b"DBN" + b"0" * 8)
    with pytest.raises(LimitExceededError, match="11 bytes"):
        read([tmp_path / "x.dbn"], ReadOptions())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        read([tmp_path / "absent.dbn"], ReadOptions())
