"""What stops a server from starting."""


class StartError(Exception):
    """The server can't start; the text is one line that says why and what to do."""
