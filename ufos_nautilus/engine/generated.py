"""Generated markets as catalogs, kept by the digest of their parameters and generator so that they are made once."""

import dataclasses
import difflib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.spec import BarQuotesSpec, SyntheticSpec
from ufos_nautilus.errors import SpecError
from ufos_nautilus.market import bar_quotes, synthetic
from ufos_nautilus.market.bar_quotes import BarQuoteTerms
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import Recording

DIGEST_DIGITS = 12


def generated_root() -> Path:
    """Return the directory of generated catalogs: UFOS_GENERATED, or ``catalogs/generated`` here."""
    return Path(os.environ.get("UFOS_GENERATED", "catalogs/generated"))


def generated_catalog(spec: SyntheticSpec) -> Path:
    """Return the catalog of a generated market, making it first where it is not there yet.

    Raises
    ------
    SpecError
        For a parameter the generator does not know, naming the nearest one.

    """
    options = {"generator": generator_digest(), "spec": json.dumps(spec.model_dump(mode="json"), sort_keys=True)}
    name = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]
    path = generated_root() / f"{spec.kind}-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    import_recording(
        path, recording_of(spec), sources=(), fmt="generated", options=options, instrument_writer=write_instruments
    )
    return path


def bar_quotes_catalog(catalog: Catalog, names: Sequence[str], spec: BarQuotesSpec) -> Path:
    """Return the catalog of quotes made from bars of another catalog, making it first where it is not there yet."""
    terms = BarQuoteTerms(**spec.model_dump())
    source = Path(bar_quotes.__file__).read_bytes()
    options = {
        "maker": hashlib.sha256(source).hexdigest()[:DIGEST_DIGITS],
        "bars": catalog.digest(names),
        "terms": json.dumps(spec.model_dump(mode="json"), sort_keys=True),
    }
    name = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]
    path = generated_root() / f"bar-quotes-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    import_recording(
        path,
        lambda: bar_quotes.quotes_from_bars(catalog, names, terms),
        sources=(),
        fmt="bar-quotes",
        options=options,
        instrument_writer=write_instruments,
    )
    return path


def recording_of(spec: SyntheticSpec) -> Callable[[], Recording]:
    """Return a function that opens the generated market; its parameters are checked at once."""
    if spec.kind == "single":
        params = make_params(synthetic.SingleMarketParams, spec)
        return lambda: synthetic.generate_single(params)
    if spec.kind == "pair":
        from ufos_nautilus.market import synthetic_pair

        pair = make_params(synthetic_pair.PairParams, spec)
        return lambda: synthetic_pair.generate_pair(pair)
    if spec.kind == "daily":
        from ufos_nautilus.market import synthetic_daily

        daily = make_params(synthetic_daily.DailyParams, spec)
        return lambda: synthetic_daily.generate_daily(daily)
    from ufos_nautilus.market import synthetic_universe

    universe = make_params(synthetic_universe.UniverseParams, spec)
    return lambda: synthetic_universe.generate_universe(universe)


def make_params[P](params_class: Callable[..., P], spec: SyntheticSpec) -> P:
    """Build a generator's parameters from a spec, refusing unknown names."""
    valid = {f.name for f in dataclasses.fields(params_class)}  # type: ignore[arg-type]
    for key in spec.params:
        if key not in valid or key == "seed":
            near = difflib.get_close_matches(key, valid - {"seed"}, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(sorted(valid - {'seed'}))}"
            raise SpecError(f"the {spec.kind} market has no parameter {key!r}", next_step=hint)
    values: dict[str, Any] = dict(spec.params)
    return params_class(seed=spec.seed, **values)


def generator_digest() -> str:
    """Return a digest of the generators' source, so that a changed generator never meets an old catalog."""
    room = Path(synthetic.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(room.glob("synthetic*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:DIGEST_DIGITS]
