"""Who calls.

* In open mode a caller is who they say, in the metadata `modelkeep-user`: `unverified:{name}`.
* A principal's id is an HMAC of the name under a key of the database, so it says nothing about
  them; the same name is the same principal.
* A token is ignored in open mode, and never logged.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from modelkeep.errors import InvalidArgumentError
from modelkeep.names import shown
from modelkeep_server.values.principals import principal_id

USER_KEY = "modelkeep-user"
ANONYMOUS = "anonymous"
MAX_USER_LENGTH = 128

_USER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: `principals/{principal}`, and what people call them."""

    principal: str
    name: str


class OpenIdentity:
    """Callers that nobody verifies."""

    def __init__(self, principal_key: bytes) -> None:
        """Name principals under this key."""

        @lru_cache(maxsize=4096)
        def caller(user: str) -> Caller:
            name = f"unverified:{user}"
            return Caller(principal_id(principal_key, name), name)

        self._caller = caller

    def caller(self, metadata: Metadata) -> Caller:
        """Tell who calls, or refuse a name that can't be one."""
        users = [value for key, value in metadata if key == USER_KEY]
        if not users:
            return self._caller(ANONYMOUS)
        user = users[0]
        if len(users) > 1:
            raise _refused(f"{USER_KEY} is there {len(users)} times")
        if isinstance(user, bytes) or len(user) > MAX_USER_LENGTH or not _USER.fullmatch(user):
            raise _refused(
                f"{USER_KEY} is {shown(str(user))}; it must be 1 to {MAX_USER_LENGTH} printable "
                "ASCII characters"
            )
        return self._caller(user)


def _refused(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError("FIELD_INVALID", problem, field=f"metadata.{USER_KEY}")
