"""Target allocations: weights, bands and a cash buffer, checked before anything is planned."""

import csv
import difflib
import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import PLAN_FILE_BYTES_MAX, PLAN_NAMES_MAX

SUM_TOLERANCE = Decimal("0.000001")
"""Weights and cash may miss one by this much (sources round)."""
WEIGHT_COLUMNS = ("weight", "target")
SYMBOL_COLUMNS = ("symbol", "ticker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a portfolio should be made of.

    Parameters
    ----------
    weights : mapping
        Symbol -> fraction of net asset value, zero or more; with `cash` they add up to one.
    cash : Decimal
        Fraction kept in cash; also the buffer below which a plan never takes the cash.
    band : Decimal
        Names whose weight is off by at most this fraction of net asset value are left alone.
    bands : mapping
        Symbol -> a band of its own.
    name : str
        What people call it.

    Raises
    ------
    SpecError
        If weights are negative, no numbers, too many, or do not add up.

    """

    weights: Mapping[str, Decimal]
    cash: Decimal = Decimal(0)
    band: Decimal = Decimal(0)
    bands: Mapping[str, Decimal] = field(default_factory=dict)
    name: str = "target"

    def __post_init__(self) -> None:
        if len(self.weights) > PLAN_NAMES_MAX:
            raise SpecError(f"a target of {len(self.weights):,} names", expected=f"at most {PLAN_NAMES_MAX:,}")
        for symbol, weight in self.weights.items():
            if not weight.is_finite() or weight < 0:
                raise SpecError(f"the target weight of {symbol} is {weight}", expected="a fraction of zero or more")
        for what, value in (("cash", self.cash), ("band", self.band), *self.bands.items()):
            if not value.is_finite() or not 0 <= value <= 1:
                raise SpecError(f"{what} of target {self.name} is {value}", expected="a fraction from 0 to 1")
        total = sum(self.weights.values(), Decimal(0)) + self.cash
        if abs(total - 1) > SUM_TOLERANCE:
            raise SpecError(
                f"weights and cash of target {self.name} add up to {total.normalize():f}",
                expected="1 (fractions of net asset value)",
                next_step='mend the weights, or say cash = "rest" to keep what they leave in cash',
            )

    def band_of(self, symbol: str) -> Decimal:
        """Return the band of a symbol."""
        return self.bands.get(symbol, self.band)

    def require_known(self, symbols: Mapping[str, Any]) -> None:
        """Raise `SpecError` naming the nearest symbol where the target wants one that is not known."""
        for symbol in self.weights:
            if symbol not in symbols:
                near = difflib.get_close_matches(symbol, list(symbols), n=1, cutoff=0.5)
                raise SpecError(
                    f"target {self.name} wants {symbol}, which is not known here",
                    expected="symbols with a price and an instrument",
                    next_step=f"did you mean {near[0]}?" if near else "check the symbol or add its price",
                )

    @classmethod
    def of(cls, data: Mapping[str, Any], name: str = "target") -> Self:
        """Build a target from plain data: ``weights``, ``cash`` (a fraction or ``"rest"``), ``band``, ``bands``."""
        unknown = sorted(set(data) - {"weights", "cash", "band", "bands", "name"})
        if unknown:
            raise SpecError(f"a target has no key {unknown[0]!r}", expected="weights, cash, band, bands, name")
        weights = decimals(data.get("weights", {}), "weights")
        cash_text = data.get("cash", 0)
        if cash_text == "rest":
            cash = max(1 - sum(weights.values(), Decimal(0)), Decimal(0))
        else:
            cash = decimal_of(cash_text, "cash")
        return cls(
            weights=weights,
            cash=cash,
            band=decimal_of(data.get("band", 0), "band"),
            bands=decimals(data.get("bands", {}), "bands"),
            name=str(data.get("name", name)),
        )


def read_target(path: Path, cash: str = "") -> Target:
    """Read a target from TOML, JSON-like TOML tables or CSV.

    A CSV has a header with ``symbol`` (or ``ticker``) and ``weight``, or, without a header, the symbol in the first
    column and the weight in the fourth (constituent lists).

    Parameters
    ----------
    path : Path
        The file.
    cash : str
        Replaces the target's own cash: a fraction or ``"rest"``.

    Raises
    ------
    SpecError
        If the file can't be read or is no target.

    """
    try:
        if path.stat().st_size > PLAN_FILE_BYTES_MAX:
            raise SpecError(f"{path.name} is larger than {PLAN_FILE_BYTES_MAX:,} bytes", expected="a list of weights")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"target {str(path)!r} can't be read: {error}", expected="a TOML or CSV file") from None
    if path.suffix.lower() == ".toml":
        try:
            data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{path.name} is no TOML: {error}", expected="a target file") from None
        data = data.get("target", data)
    else:
        data = {"weights": _csv_weights(text, path.name)}
    if cash:
        data = {**data, "cash": cash}
    return Target.of(data, path.stem)


def _csv_weights(text: str, where: str) -> dict[str, Decimal]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row and any(cell.strip() for cell in row)]
    if not rows:
        raise SpecError(f"{where} is empty", expected="symbols and weights")
    header = [cell.strip().lower() for cell in rows[0]]
    symbol_at = next((header.index(c) for c in SYMBOL_COLUMNS if c in header), None)
    weight_at = next((header.index(c) for c in WEIGHT_COLUMNS if c in header), None)
    if symbol_at is not None and weight_at is not None:
        rows = rows[1:]
    elif len(rows[0]) >= 4:
        symbol_at, weight_at = 0, 3
    else:
        raise SpecError(f"{where} has no columns symbol and weight", expected="a header with symbol and weight")
    weights: dict[str, Decimal] = {}
    for number, row in enumerate(rows, 1):
        if len(row) <= max(symbol_at, weight_at):
            raise SpecError(f"{where} row {number} has {len(row)} columns", expected="a symbol and a weight")
        symbol = row[symbol_at].strip()
        if symbol in weights:
            raise SpecError(f"{where} names {symbol} twice", expected="one weight for each symbol")
        weights[symbol] = decimal_of(row[weight_at].strip(), f"{where}: the weight of {symbol}")
    return weights


def decimals(values: Any, what: str) -> dict[str, Decimal]:
    """Return symbol -> decimal from plain data."""
    if not isinstance(values, Mapping):
        raise SpecError(f"{what} is no table", expected="symbol = fraction")
    return {str(k): decimal_of(v, f"{what}: {k}") for k, v in values.items()}


def decimal_of(value: Any, what: str) -> Decimal:
    """Return a decimal from text or a number; floats go through their shortest text."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(str(value))
    except InvalidOperation:
        raise SpecError(f"{what} is {value!r}", expected="a decimal number") from None
    if not number.is_finite():
        raise SpecError(f"{what} is {value!r}", expected="a finite decimal number")
    return number
