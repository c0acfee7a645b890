"""What a user can mend is raised as one of these, with a message of one line that says what to do."""


class InputError(ValueError):
    """Bad input."""


class TrainingError(RuntimeError):
    """Training cannot go on: a loss or a weight is not finite."""
