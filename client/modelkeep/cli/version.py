"""Which modelkeep this is."""

from importlib.metadata import version


def version_line() -> str:
    """Give what `modelkeep --version` prints."""
    return f"modelkeep {version('modelkeep')}\n"
