"""What an owner will not hold: names, sectors, sub-industries, tags; and what becomes of a target that wants it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio.securities import Security

KINDS = ("names", "sectors", "sub_industries", "tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """Exclusions of one owner; letter case does not matter.

    Parameters
    ----------
    names : frozenset of str
        Root symbols.
    sectors, sub_industries : frozenset of str
        GICS names, for example ``"Tobacco"``.
    tags : frozenset of str
        Labels that a security may carry.

    """

    names: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    sub_industries: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Mapping[str, Iterable[str]]) -> Self:
        """Return restrictions from lists by kind, as a portfolio file has them.

        Raises
        ------
        SpecError
            For a kind that does not exist, or a value that is no text.

        """
        unknown = sorted(set(values) - set(KINDS))
        if unknown:
            raise SpecError(f"there is no restriction by {unknown[0]!r}", expected=", ".join(KINDS))
        lists: dict[str, frozenset[str]] = {}
        for kind, items in values.items():
            texts = [items] if isinstance(items, str) else list(items)
            if not all(isinstance(t, str) and t.strip() for t in texts):
                raise SpecError(f"restrictions by {kind} are {texts[:5]}", expected="a list of names")
            lists[kind] = frozenset(t.strip() for t in texts)
        return cls(**lists)

    def __bool__(self) -> bool:
        return any((self.names, self.sectors, self.sub_industries, self.tags))

    def reason(self, security: Security) -> str:
        """Return why a security is excluded, or an empty text where it is not."""
        for kind, value in (
            ("names", security.symbol),
            ("sub_industries", security.sub_industry),
            ("sectors", security.sector),
        ):
            listed: frozenset[str] = getattr(self, kind)
            if value and value.casefold() in {t.casefold() for t in listed}:
                word = {"names": "name", "sectors": "sector", "sub_industries": "sub-industry"}[kind]
                return f"{word} {value}"
        hit = sorted({t.casefold() for t in self.tags} & {t.casefold() for t in security.tags})
        return f"tag {hit[0]}" if hit else ""

    def excluded(self, securities: Mapping[str, Security]) -> dict[str, str]:
        """Return symbol -> reason for everything excluded, in order of symbol."""
        reasons = {symbol: self.reason(security) for symbol, security in sorted(securities.items())}
        return {symbol: reason for symbol, reason in reasons.items() if reason}

    def unmatched(self, securities: Mapping[str, Security]) -> list[str]:
        """Return restrictions that match nothing known, as ``"sectors: Tobaco"``: a misspelling excludes nothing."""
        known = {
            "names": {s.symbol.casefold() for s in securities.values()},
            "sectors": {s.sector.casefold() for s in securities.values()},
            "sub_industries": {s.sub_industry.casefold() for s in securities.values()},
            "tags": {t.casefold() for s in securities.values() for t in s.tags},
        }
        return [
            f"{kind}: {t}" for kind in KINDS for t in sorted(getattr(self, kind)) if t.casefold() not in known[kind]
        ]

    def to_dict(self) -> dict[str, list[str]]:
        """Return plain data, sorted, without empty kinds."""
        return {kind: sorted(getattr(self, kind)) for kind in KINDS if getattr(self, kind)}


def redistribute(weights: Mapping[str, Decimal], excluded: Mapping[str, str]) -> dict[str, Decimal]:
    """Return target weights without the excluded names; what they had goes to the others in proportion.

    Raises
    ------
    SpecError
        If nothing is left to take the weight.

    """
    kept = {symbol: weight for symbol, weight in weights.items() if symbol not in excluded}
    whole, left = sum(weights.values(), Decimal(0)), sum(kept.values(), Decimal(0))
    if whole and not left:
        raise SpecError("every name of the target is restricted", expected="at least one name that may be held")
    if left == whole:
        return kept
    return {symbol: weight * whole / left for symbol, weight in kept.items()}
