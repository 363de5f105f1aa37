"""Errors that a user can act on."""


class ProjectError(Exception):
    """An error whose message says what is wrong and what to do; the command line shows it without a traceback."""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, at most 200 characters, or its type if it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
