"""Page tokens: opaque, bound to their query, and impossible to make up."""

import base64
import hashlib
import hmac
import json

from modelkeep.errors import InvalidArgumentError

_MAC_BYTES = 16


class Pages:
    """Makes and reads page tokens under a key of the database."""

    def __init__(self, key: bytes) -> None:
        """Use this key."""
        self._key = key

    def token(self, query: bytes, last: list[str | int]) -> str:
        """Make the token of the page that follows the entry with these keys."""
        place = json.dumps(last).encode()
        return base64.urlsafe_b64encode(self._mac(query, place) + place).decode()

    def place(self, query: bytes, token: str) -> list[str | int]:
        """Tell the keys that a token holds, or refuse one that is not of this query."""
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        mac, place = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(query, place)):
            raise InvalidArgumentError(
                "PAGE_TOKEN_INVALID",
                "the page token is not of this query; begin again without one",
                field="page_token",
            )
        keys: list[str | int] = json.loads(place)
        return keys

    def _mac(self, query: bytes, place: bytes) -> bytes:
        text = hashlib.sha256(query).digest() + place
        return hmac.digest(self._key, text, "sha256")[:_MAC_BYTES]
