"""Every error UFOS raises on purpose, in one tree; each says what was expected, what came and what to do next.

UfosError
├── BadInputError            exit code 2: the caller can mend it
│   ├── DataError            a recording, file or catalog is not what it should be
│   ├── SpecError            a run spec, option or configuration value is wrong
│   └── LimitExceededError   a stated limit was reached
├── RunFailedError           exit code 1: a run started and did not end well
│   └── ReconciliationError  the ledger and the engine disagree
└── IntegrityError           exit code 3: a stored record does not match its own checksums
"""


class UfosError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    problem : str
        What came, in one sentence.
    expected : str
        What was expected instead.
    next_step : str
        What the reader can do about it; a command where there is one.

    """

    exit_code = 1

    def __init__(self, problem: str, *, expected: str = "", next_step: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.expected = expected
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.problem]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """Return the error as plain data for `--json` output."""
        return {
            "error": type(self).__name__,
            "problem": self.problem,
            "expected": self.expected,
            "next_step": self.next_step,
        }


class BadInputError(UfosError):
    """The caller gave something that can't be used."""

    exit_code = 2


class DataError(BadInputError):
    """A recording, file or catalog is not what it should be."""


class SpecError(BadInputError):
    """A run spec, option or configuration value is wrong."""


class LimitExceededError(BadInputError):
    """A stated limit was reached."""


class RunFailedError(UfosError):
    """A run started and did not end well."""


class ReconciliationError(RunFailedError):
    """The ledger and the engine disagree."""


class IntegrityError(UfosError):
    """A stored record does not match its own checksums."""

    exit_code = 3
