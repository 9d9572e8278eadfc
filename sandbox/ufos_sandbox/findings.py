"""What an audit found: evidence against a result, and what it could not judge."""

from collections import Counter
from dataclasses import dataclass, field

from ufos_nautilus.limits import SANDBOX_EVIDENCE_MAX


@dataclass(slots=True)
class Findings:
    """Evidence and open questions, bounded in length."""

    evidence: list[str] = field(default_factory=list)
    evidence_count: int = 0
    open: Counter[str] = field(default_factory=Counter)

    def against(self, text: str) -> None:
        """Add one piece of evidence; beyond the limit only their number grows."""
        self.evidence_count += 1
        if len(self.evidence) < SANDBOX_EVIDENCE_MAX:
            self.evidence.append(text)

    def unclear(self, what: str, count: int = 1) -> None:
        """Count something that could not be judged."""
        if count:
            self.open[what] += count

    def listed(self) -> list[str]:
        """Return the evidence, with a last line for what was left out."""
        rest = self.evidence_count - len(self.evidence)
        return [*self.evidence, f"and {rest} more"] if rest > 0 else list(self.evidence)

    def unjudged(self) -> list[str]:
        """Return what could not be judged, one line for each kind."""
        return [f"{count} x {what}" for what, count in sorted(self.open.items())]
