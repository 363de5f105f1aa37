"""Errors that a user can act on."""

import re


class ProjectError(Exception):
    """An error whose message says what is wrong and what to do; the command line shows it without a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    r"""Write bytes that are not UTF-8, as in names of files from old archives, as ``\xe9``: a terminal refuses them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, at most 200 characters, or its type if it has no message.

    Passwords in addresses are hidden.
    """
    return hide_passwords((str(error).splitlines() or [type(error).__name__])[0])[:200]


def hide_passwords(text: str) -> str:
    """Hide users and passwords of addresses, as in ``http://***@host`` and ``?password=***``; paths stay."""
    text = re.sub(r"(?<!sqlite)(?<!file)://\S*@", "://***@", text)
    return re.sub(r"\b(password=)[^&\s]*", r"\1***", text)
