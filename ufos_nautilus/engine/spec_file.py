"""Reads a run spec: TOML file, overrides from the command line, then validation with messages a person can act on."""

import difflib
import hashlib
import json
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ufos_nautilus.engine.spec import RunSpec
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import SPEC_BYTES_MAX

SPEC_SCHEMA_HINT = "`ufos spec schema` prints every key with its unit"


def load_spec(path: Path, overrides: typing.Sequence[str] = ()) -> RunSpec:
    """Read, override and validate a run spec.

    Parameters
    ----------
    path : Path
        TOML file.
    overrides : sequence of str
        ``key.path=value`` items; the value is TOML, or plain text where it isn't.

    Raises
    ------
    SpecError
        Naming the key, what came and the nearest valid key.

    """
    try:
        size = path.stat().st_size
        if size > SPEC_BYTES_MAX:
            raise SpecError(f"{path} has {size:,} bytes", expected=f"at most {SPEC_BYTES_MAX:,} bytes")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = sorted(p.name for p in Path("strategies/specs").glob("*.toml"))
        raise SpecError(
            f"there is no spec file {str(path)!r}",
            expected="a TOML file",
            next_step=f"try one of strategies/specs/: {', '.join(near)}" if near else SPEC_SCHEMA_HINT,
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path} can't be read as TOML: {error}", expected="a TOML file") from error
    for item in overrides:
        apply_override(data, item)
    return parse_spec(data, source=str(path))


def parse_spec(data: dict[str, Any], source: str = "spec") -> RunSpec:
    """Validate plain data as a run spec."""
    try:
        return RunSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(
            explain(error, RunSpec, source), expected="a valid run spec", next_step=SPEC_SCHEMA_HINT
        ) from None


def spec_digest(spec: RunSpec) -> str:
    """Return the SHA-256 of the spec's canonical JSON (defaults included)."""
    canonical = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def apply_override(data: dict[str, Any], item: str) -> None:
    """Set one ``key.path=value`` in place; list items by number, a missing table is made."""
    path, equals, text = item.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(f"override {item!r} is not key=value", expected="--set a.b=c, for example --set seed=7")
    node: Any = data
    for depth, key in enumerate(keys[:-1]):
        node = _descend(node, key, ".".join(keys[: depth + 1]))
    last = keys[-1]
    if isinstance(node, list):
        node[_index(node, last, path)] = _toml_value(text)
    elif isinstance(node, dict):
        node[last] = _toml_value(text)
    else:
        raise SpecError(f"override {item!r} goes into a value that is no table", expected="a table or a list")


def _descend(node: Any, key: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, path)]
    if not isinstance(node, dict):
        raise SpecError(f"override path {path!r} goes into a value that is no table", expected="a table or a list")
    return node.setdefault(key, {})


def _index(node: list[Any], key: str, path: str) -> int:
    if not key.isdigit() or int(key) >= len(node):
        raise SpecError(
            f"override path {path!r}: {key!r} is no item of a list of {len(node)}",
            expected=f"a number from 0 to {len(node) - 1}" if node else "an existing item",
        )
    return int(key)


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Turn a validation error into lines that name key, problem and the nearest valid key."""
    lines = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            valid = sorted(_fields_at(model, item["loc"][:-1]))
            near = difflib.get_close_matches(str(item["loc"][-1]), valid, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(valid)}"
            lines.append(f"{where}: unknown key; {hint}")
        else:
            came = "" if item["type"] == "missing" else f" (came: {item['input']!r})"
            lines.append(f"{where or 'spec'}: {item['msg'].removeprefix('Value error, ')}{came}"[:400])
    return f"{source}: " + "; ".join(lines)


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    current: Any = model
    for part in loc:
        if isinstance(part, int) or not (isinstance(current, type) and issubclass(current, BaseModel)):
            continue
        field = current.model_fields.get(part)
        if field is None:
            return set()
        current = _model_in(field.annotation)
    return set(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else set()


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (list, tuple, typing.Union, types.UnionType):
        return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)
    return None
