"""What clients do not want to hold: exact sets of names, sub-industries and tags, versioned."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ufos_nautilus.limits import RISK_RULES_MAX

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Names = Annotated[
    tuple[Name, ...], Field(max_length=RISK_RULES_MAX), AfterValidator(lambda names: tuple(sorted(set(names))))
]
"""A set, kept sorted so that the same wishes give the same bytes."""


class Restriction(BaseModel):
    """One confirmed wish of a client."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: Name
    """Unique in a file."""
    book: Name
    """Book it binds, or "*" for every book."""
    names: Names = ()
    """Root symbols, for example "PM" for PM.XNYS and every other venue."""
    sub_industries: Names = ()
    """For example "Tobacco"."""
    tags: Names = ()
    """For example "weapons"."""
    allows: Literal["reducing", "nothing"] = "reducing"
    """Whether what is held may still be sold."""
    reason: str = Field(default="", max_length=400)
    """In the client's words."""


class Facts(NamedTuple):
    """What restrictions look at in an instrument."""

    root: str
    sub_industry: str = ""
    tags: frozenset[str] = frozenset()


class Restrictions:
    """All restrictions in force; asking is one look into a set.

    Attributes
    ----------
    version : int
        Raised by one with every change, so that a record says which rules an order was judged by.

    """

    def __init__(self, rules: Iterable[Restriction] = (), version: int = 1) -> None:
        self.version = version
        self.rules = tuple(rules)
        self._names: dict[str, dict[str, Restriction]] = {}
        self._sub_industries: dict[str, dict[str, Restriction]] = {}
        self._tags: dict[str, dict[str, Restriction]] = {}
        for rule in self.rules:
            for index, values in (
                (self._names, rule.names),
                (self._sub_industries, rule.sub_industries),
                (self._tags, rule.tags),
            ):
                for value in values:
                    known = index.setdefault(rule.book, {}).get(value)
                    if known is None or rule.allows == "nothing":
                        index[rule.book][value] = rule

    def of(self, book: str, facts: Facts) -> Restriction | None:
        """Return the restriction that binds `book` in an instrument, the strictest where several do, or None."""
        found = [rule for owner in (book, "*") if (rule := self._of(owner, facts)) is not None]
        return next((rule for rule in found if rule.allows == "nothing"), found[0] if found else None)

    def _of(self, owner: str, facts: Facts) -> Restriction | None:
        hits = [
            self._names.get(owner, {}).get(facts.root),
            self._sub_industries.get(owner, {}).get(facts.sub_industry) if facts.sub_industry else None,
            *(self._tags.get(owner, {}).get(tag) for tag in facts.tags),
        ]
        found = [rule for rule in hits if rule is not None]
        return next((rule for rule in found if rule.allows == "nothing"), found[0] if found else None)

    def changed(self, rules: Iterable[Restriction]) -> "Restrictions":
        """Return the next version with other rules."""
        return Restrictions(rules, self.version + 1)


def difference(old: Restrictions, new: Restrictions) -> Mapping[str, list[str]]:
    """Return ids of restrictions that were ``added``, ``removed`` or ``changed``."""
    before, after = {r.id: r for r in old.rules}, {r.id: r for r in new.rules}
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(k for k in before.keys() & after.keys() if before[k] != after[k]),
    }
