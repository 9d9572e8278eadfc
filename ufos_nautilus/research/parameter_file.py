"""Calibrated parameters as a TOML file that says what they were made from; a desk names it with its digest."""

import hashlib
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import PARAMETER_FILE_BYTES_MAX
from ufos_nautilus.market.manifest import write_durably

KIND = "calibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Parameters of a desk with their errors and where they come from.

    Parameters
    ----------
    instrument_id : str
        What they are for.
    source : str
        ``"market"`` (recorded quotes and trades) or ``"run"`` (own quotes and fills).
    data : tuple of str
        Digests of the market data, or the run's id.
    start, end : str
        First and last instant used, ISO 8601 UTC.
    parameters : dict of str to float or str
        By the name a desk's config has.
    errors : dict of str to float
        Standard errors, for those that are estimates.
    facts : dict of str to float
        What else was seen.

    """

    instrument_id: str
    source: str
    data: tuple[str, ...]
    start: str
    end: str
    parameters: dict[str, float | str]
    errors: dict[str, float] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def to_toml(self) -> str:
        """Return the file's text."""
        lines = [
            "# Made by `ufos calibrate`. A desk takes it with",
            '#   calibration = { file = "THIS FILE", sha256 = "ITS SHA-256" }',
            "[calibration]",
            f"kind = {_text(KIND)}",
            f"instrument_id = {_text(self.instrument_id)}",
            f"source = {_text(self.source)}",
            f"data = [{', '.join(_text(d) for d in self.data)}]",
            f"start = {_text(self.start)}",
            f"end = {_text(self.end)}",
        ]
        for name in ("parameters", "errors", "facts"):
            values: dict[str, Any] = getattr(self, name)
            lines += ["", f"[{name}]", *(f"{key} = {_value(values[key])}" for key in sorted(values))]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Rebuild from `to_toml`.

        Raises
        ------
        DataError
            When the text is not that of a calibration.

        """
        try:
            data = tomllib.loads(text)
            head = data["calibration"]
            if head["kind"] != KIND:
                raise ValueError(head["kind"])
            return cls(
                instrument_id=str(head["instrument_id"]),
                source=str(head["source"]),
                data=tuple(str(d) for d in head["data"]),
                start=str(head["start"]),
                end=str(head["end"]),
                parameters=dict(data["parameters"]),
                errors=dict(data.get("errors", {})),
                facts=dict(data.get("facts", {})),
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a calibration: {error!r}",
                expected="a file written by `ufos calibrate`",
                next_step="calibrate again",
            ) from error


def write_calibration(path: Path, calibration: Calibration) -> str:
    """Write the file whole or not at all and return its SHA-256."""
    data = calibration.to_toml().encode()
    write_durably(path, data)
    return hashlib.sha256(data).hexdigest()


def read_bound(path: Path, sha256: str, what: str) -> str:
    """Return the text of an artifact that a spec names with its digest, so that the same spec means the same file.

    Raises
    ------
    DataError
        When it is absent, too large, or not the file that was named.

    """
    try:
        if path.stat().st_size > PARAMETER_FILE_BYTES_MAX:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes", expected=f"{PARAMETER_FILE_BYTES_MAX:,} at most"
            )
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the {what} {path} can't be read: {error}", expected="a file made by `ufos calibrate`"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(
            f"the {what} {path} has SHA-256 {found[:16]}..., the spec names {sha256[:16]}...",
            expected="the file that the spec was written for",
            next_step=f'to use this one: sha256 = "{found}"',
        )
    return text


def read_calibration(path: Path, sha256: str) -> Calibration:
    """Read a calibration that a spec names with its digest."""
    return Calibration.from_toml(read_bound(path, sha256, "calibration"))


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return _text(value)
    if not math.isfinite(value):
        return "inf" if value > 0 else "-inf" if value < 0 else "nan"
    return repr(value)
