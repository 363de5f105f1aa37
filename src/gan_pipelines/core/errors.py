"""What goes wrong in a way that a user can act on."""


class ProjectError(Exception):
    """An error whose message says what is wrong and what to do: on the command line it is shown without a traceback."""


def first_line(error: BaseException) -> str:
    """The beginning of what an exception says, or its kind if it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
