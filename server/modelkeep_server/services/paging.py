"""Pages: how many entries, from where on, and the token of the next."""

from collections.abc import Iterable
from typing import TypeAlias

from google.protobuf.message import Message

from modelkeep_server.records.encode import page
from modelkeep_server.records.pages import Pages
from modelkeep_server.values.call import Call

DEFAULT_SIZE = 50
MAX_SIZE = 1_000
MAX_BYTES = 1_048_576

Keys: TypeAlias = list[str | int]
Entry: TypeAlias = tuple[Keys, bytes]


class Paging:
    """One call of a list: where it goes on, and how its page ends."""

    def __init__(
        self,
        pages: Pages,
        call: Call,
        request: Message,
        *,
        default: int = DEFAULT_SIZE,
        most: int = MAX_SIZE,
    ) -> None:
        """Read the request's page size and token."""
        wanted: int = request.page_size  # type: ignore[attr-defined]  # every list has it
        token: str = request.page_token  # type: ignore[attr-defined]
        self.size = min(wanted or default, most)
        self._pages = pages
        self._query = _query(call, request)
        self.after: Keys | None = pages.place(self._query, token) if token else None

    @property
    def limit(self) -> int:
        """How many entries to read: one more than the page, to see whether another follows."""
        return self.size + 1

    def cut(self, entries: Iterable[Entry]) -> tuple[list[bytes], str]:
        """Keep what fits a page, reading no more than that, and make the token of the next."""
        kept: list[bytes] = []
        total = 0
        last: Keys = []
        for keys, body in entries:
            if len(kept) == self.size or total >= MAX_BYTES:
                return kept, self._pages.token(self._query, last)
            kept.append(body)
            total += len(body)
            last = keys
        return kept, ""

    def answer(self, entries: Iterable[Entry]) -> bytes:
        """Serialize the page: its entries in field 1, the token in field 2."""
        kept, token = self.cut(entries)
        return page(1, kept, 2, token)


def _query(call: Call, request: Message) -> bytes:
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    return call.method.encode() + b"\0" + query.SerializeToString(deterministic=True)
