"""Writes `docs/reference/errors.md` from the contract; `--check` says whether it is current."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROTO = ROOT / "proto/modelkeep/v1/error_reason.proto"
PAGE = ROOT / "docs/reference/errors.md"
VALUE = re.compile(r"((?:  //.*\n)+)  ERROR_REASON_(\w+) = \d+;")

HEAD = """# Errors

Every error is a gRPC status with `google.rpc` details: one `ErrorInfo` (domain `modelkeep`, a
stable `reason`, and in `metadata` every value that the message shows), for bad input a `BadRequest`
that names the field, and where it helps a `RetryInfo`. Branch on code and reason, never on the
text.

In Python each code is a class of `modelkeep` (`NOT_FOUND` is `NotFoundError`), with `reason`,
`metadata`, `fields` and `retry_after_seconds`. The SDK retries by itself what may be retried:
`UNAVAILABLE`, and refusals that say when to come back.

Made from `proto/modelkeep/v1/error_reason.proto` by `make gen`.

| reason | code | meaning | metadata |
| --- | --- | --- | --- |
"""

SDK = """
## Only from an SDK

These never come over the wire: the Python SDK raises them about this side of it. A status that is
not modelkeep's own (a proxy's, say) has its code as its reason, such as `UNAVAILABLE` or
`CANCELLED`.

| reason | code | meaning |
| --- | --- | --- |
| `URL_INVALID` | `INVALID_ARGUMENT` | the registry's address can't be read |
| `TOKEN_INVALID` | `INVALID_ARGUMENT` | the token has other characters than printable ASCII |
| `TOKEN_NOT_ENCRYPTED` | `INVALID_ARGUMENT` | a token would go to another host in plain text |
| `SERVER_UNREACHABLE` | `UNAVAILABLE` | nothing answers at the address |
| `TRANSFER_STALLED` | `UNAVAILABLE` | nothing of a transfer moved for a minute |
| `CLIENT_CLOSED` | `CANCELLED` | the client was closed |
| `FILE_CHANGED` | `FAILED_PRECONDITION` | a file was changed while it was pushed |
| `DEST_NOT_EMPTY` | `FAILED_PRECONDITION` | the folder to pull into holds something else |
| `DEST_PROTECTED` | `FAILED_PRECONDITION` | the folder to pull into is one that is never replaced |
| `DISK_FULL` | `RESOURCE_EXHAUSTED` | there is no room on this machine's disk |
| `DISK_FAILED` | `FAILED_PRECONDITION` | a file of this machine can't be read or written |
| `CACHE_BUSY` | `UNAVAILABLE` | somebody empties the cache all the time |
"""


def page() -> str:
    """Make the page's text."""
    rows = []
    for comment, reason in VALUE.findall(PROTO.read_text()):
        text = " ".join(line.strip(" /") for line in comment.splitlines())
        match = re.fullmatch(r"`(\w+)`: (.*?)\.?(?: Metadata: (.*)\.)?", text)
        if match:
            code, meaning, metadata = match.groups()
            rows.append(f"| `{reason}` | `{code}` | {meaning} | {metadata or ''} |\n")
    return HEAD + "".join(rows) + SDK


def main() -> int:
    """Write the page, or compare it."""
    if "--check" not in sys.argv:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    sys.stderr.write("docs/reference/errors.md is not what the contract says: run `make gen`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
