"""Returns explained by published factors: the market, size, value and momentum, by ordinary least squares."""

import csv
import gzip
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import FACTOR_FILE_BYTES_MAX

MISSING = -99.0
"""What is at or below this is a missing value (-99.99 in the files)."""
NAMES = {"Mkt-RF": "market", "SMB": "size", "HML": "value", "RMW": "profitability", "CMA": "investment",
         "Mom": "momentum", "RF": "riskless"}  # fmt: skip
MODEL = ("market", "size", "value", "momentum")
"""Three factors of Fama and French (1993), and momentum (Carhart 1997)."""
OBSERVATIONS_MIN = 60


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One slope: its estimate, and the estimate over its standard error."""

    name: str
    value: float
    t: float


@dataclass(frozen=True, slots=True)
class FactorFit:
    """A regression of returns beyond the riskless rate.

    Parameters
    ----------
    alpha : Coefficient
        Intercept, a fraction per year.
    slopes : tuple of Coefficient
        One for each factor.
    r_squared : float
        Share of the variance that the factors explain.
    observations : int
        Days.

    """

    alpha: Coefficient
    slopes: tuple[Coefficient, ...]
    r_squared: float
    observations: int

    def slope(self, name: str) -> Coefficient:
        """Return the slope of a factor."""
        return next(s for s in self.slopes if s.name == name)


def read_factors(folder: Path) -> dict[date, dict[str, float]]:
    """Read daily factor files (``ff3_daily.csv.gz`` or ``ff5_daily.csv.gz``, and ``ff_mom_daily.csv.gz``).

    The files have lines of text before a header that begins with ``Date`` and after the data; percents become
    fractions, missing values are left out.

    Parameters
    ----------
    folder : Path
        Where they lie.

    Returns
    -------
    dict
        Day -> factor of `NAMES` -> return, a fraction; days that lack one of the files' factors have fewer.

    Raises
    ------
    SpecError
        If a file is not there.
    DataError
        If one has no header or no data.

    """
    out: dict[date, dict[str, float]] = {}
    three = next((folder / n for n in ("ff3_daily.csv.gz", "ff5_daily.csv.gz") if (folder / n).is_file()), None)
    for path in (three or folder / "ff3_daily.csv.gz", folder / "ff_mom_daily.csv.gz"):
        if not path.is_file():
            raise SpecError(f"there is no {path.name} in {folder}", expected="ff3_daily.csv.gz and ff_mom_daily.csv.gz")
        for day, values in _rows(path):
            out.setdefault(day, {}).update(values)
    return out


def _rows(path: Path) -> list[tuple[date, dict[str, float]]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        text = stream.read(FACTOR_FILE_BYTES_MAX + 1)
    if len(text) > FACTOR_FILE_BYTES_MAX:
        raise DataError(f"{path.name} is larger than {FACTOR_FILE_BYTES_MAX:,} bytes", expected="daily factors")
    lines = list(csv.reader(io.StringIO(text)))
    at = next((i for i, line in enumerate(lines) if line and line[0].strip() == "Date"), None)
    if at is None:
        raise DataError(f"{path.name} has no line that begins with Date", expected="a header, then days")
    names = [NAMES.get(cell.strip(), cell.strip()) for cell in lines[at]][1:]
    out: list[tuple[date, dict[str, float]]] = []
    for line in lines[at + 1 :]:
        try:
            day = date.fromisoformat(line[0].strip())
            values = {n: float(v) for n, v in zip(names, line[1:], strict=True)}
        except (ValueError, IndexError):
            continue  # text after the data
        out.append((day, {n: v / 100 for n, v in values.items() if v > MISSING}))
    if not out:
        raise DataError(f"{path.name} holds no days", expected="lines such as 1926-07-01, 0.09, ...")
    return out


def fit_factors(
    returns: Mapping[date, float], factors: Mapping[date, Mapping[str, float]], model: Sequence[str] = MODEL
) -> FactorFit:
    """Regress returns beyond the riskless rate on factors.

    Parameters
    ----------
    returns : mapping
        Day -> return, a fraction.
    factors : mapping
        From `read_factors`.
    model : sequence of str
        Which factors; days that lack one are left out.

    Raises
    ------
    DataError
        If fewer than `OBSERVATIONS_MIN` days have both, or the factors are collinear.

    """
    rows: list[list[float]] = []
    ys: list[float] = []
    for day, value in sorted(returns.items()):
        known = factors.get(day, {})
        if all(name in known for name in (*model, "riskless")):
            rows.append([1.0, *(known[name] for name in model)])
            ys.append(value - known["riskless"])
    if len(rows) < OBSERVATIONS_MIN:
        raise DataError(
            f"{len(rows)} days have both a return and factors", expected=f"{OBSERVATIONS_MIN} days at least"
        )
    columns = list(zip(*rows, strict=True))
    inverse = _inverse([[math.sumprod(a, b) for b in columns] for a in columns])
    moments = [math.sumprod(column, ys) for column in columns]
    betas = [math.sumprod(line, moments) for line in inverse]
    residuals = [y - math.sumprod(row, betas) for row, y in zip(rows, ys, strict=True)]
    mean = math.fsum(ys) / len(ys)
    left, whole = math.sumprod(residuals, residuals), math.fsum((y - mean) ** 2 for y in ys)
    noise = left / (len(rows) - len(betas))
    errors = [math.sqrt(noise * inverse[i][i]) for i in range(len(betas))]
    ts = [b / e if e > 0 else 0.0 for b, e in zip(betas, errors, strict=True)]
    return FactorFit(
        Coefficient("alpha", (1 + betas[0]) ** 252 - 1, ts[0]),
        tuple(Coefficient(n, b, t) for n, b, t in zip(model, betas[1:], ts[1:], strict=True)),
        1 - left / whole if whole > 0 else 0.0,
        len(rows),
    )


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Return the inverse of a small matrix by Gauss and Jordan with pivoting."""
    size = len(matrix)
    work = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    scale = max(abs(v) for row in matrix for v in row)
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(work[r][i]))
        if abs(work[pivot][i]) < scale * 1e-15:
            raise DataError("the factors are collinear", expected="factors none of which follows from the others")
        work[i], work[pivot] = work[pivot], work[i]
        work[i] = [v / work[i][i] for v in work[i]]
        for r in range(size):
            if r != i:
                factor = work[r][i]
                work[r] = [v - factor * w for v, w in zip(work[r], work[i], strict=True)]
    return [row[size:] for row in work]
