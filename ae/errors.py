"""What a user can mend is raised as one of these, with a message of one line that says what to do."""


class InputError(ValueError):
    """Bad input; its message is one line that says what to do. Scripts end with it, and exit status 2."""


class TrainingError(RuntimeError):
    """Training cannot go on: a loss or a weight is not finite, or no checkpoint can be written."""
