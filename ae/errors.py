"""What a user can mend is raised as one of these, with a message of one line that says what to do."""

from typing import Any


class InputError(ValueError):
    """Bad input; its message is one line that says what to do. Scripts end with it, and exit status 2."""


class CheckFailedError(InputError):
    """A clip was written, but is not what it ought to be; `report` says where it is kept, and what is wrong."""

    def __init__(self, report: Any) -> None:
        super().__init__(f"{report.path} failed the check: {report.failures}")
        self.report = report


class TrainingError(RuntimeError):
    """Training cannot go on: a loss or a weight is not finite, or no checkpoint can be written."""
