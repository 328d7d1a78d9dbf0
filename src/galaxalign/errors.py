"""The one exception that users see."""


class InputError(ValueError):
    """An error of the input: one sentence with what is wrong, where, and what to do.

    The command line prints the sentence without traceback and exits with status 1.
    """


def reason(error: BaseException) -> str:
    """Return what an exception of another library says, as one line to quote in a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
