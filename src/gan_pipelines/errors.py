"""What goes wrong in a way that a user can act on."""


class ProjectError(Exception):
    """An error whose message says what is wrong and what to do: on the command line it is shown without a traceback."""
