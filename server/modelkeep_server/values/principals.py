"""What people are called where their names must not be: in the log, and in records."""

import hmac


def principal_id(key: bytes, name: str) -> str:
    """Make an opaque id of a name: the same name is the same principal."""
    return f"principals/{hmac.digest(key, name.encode(), 'sha256').hex()[:20]}"
