"""The one exception that users see."""

__all__ = ["InputError"]


class InputError(ValueError):
    """The input is at fault: one sentence saying what is wrong, where, and what to do.

    The command line prints the sentence and exits with status 1; no traceback.
    """
