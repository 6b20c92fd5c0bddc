"""The URL of a database of Postgres, read strictly: libpq guesses.

Where a password has an `@` or a `/`, libpq takes a part of it for the host, which is shown. So no
URL is opened that could be read in two ways, and what is said of a wrong one has nothing of it.
"""

import re
from urllib.parse import unquote

FORM = "postgresql://USER:PASSWORD@HOST/DATABASE"

_HOST = r"(?:[\w.%-]*|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?"
_URL = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?#\s]*@)?{_HOST}(?:,{_HOST})*(?:/[^@/?#\s]*)?(?:\?[^@?#\s]*)?"
)
_NOT_ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")
_SERVED_BY = {None, "any", "primary"}


def parse(url: str) -> str:
    """Give it back as `postgresql://…`, or raise `ValueError` that says what it must be."""
    if not _URL.fullmatch(url) or _NOT_ENCODED.search(url) or not _is_text(url):
        raise ValueError(
            f"must be {FORM}, where special characters of a password are percent-encoded: "
            "@ is %40, / is %2F, % is %25"
        )
    if _options(url).get("target_session_attrs") not in _SERVED_BY:
        raise ValueError(
            "must have target_session_attrs=primary, where it has one: connections for reading "
            "are opened read-only, which read-write takes for a standby's"
        )
    return "postgresql" + url[url.index("://") :]


def _is_text(url: str) -> bool:
    try:
        return "\0" not in unquote(url, errors="strict")
    except UnicodeDecodeError:
        return False


def _options(url: str) -> dict[str, object]:
    # Loaded where it is used: it takes a fifth of a second.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return dict(conninfo_to_dict(url))
    except ProgrammingError:
        raise ValueError(
            "must have parameters of libpq after the ?, such as sslmode=verify-full"
        ) from None
