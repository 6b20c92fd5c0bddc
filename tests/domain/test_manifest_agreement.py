"""Server and SDK read the same manifests: what one takes the other takes, and as the same files.

The SDK reads what it has checked by its digest, so it does not look at order again; of what is
out of order or there twice only the server says so.
"""

from hypothesis import example, given
from hypothesis import strategies as st

from modelkeep._manifest import manifest_entries, manifest_text
from modelkeep.errors import Error
from modelkeep_server.domain.manifest_text import read

HEX = "0123456789abcdef" * 4
ENDS = ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028"]
GAPS = ["  ", " ", "\t"]
PATHS = ["a", "b/c", "b", "/", "..", ".", "\\", "é", "\0", "\u202e", "\ufeff", "*", "a" * 1_024]
PIECES = st.sampled_from([HEX, HEX.upper(), HEX[1:], *GAPS, *ENDS, *PATHS])
LINES = st.lists(
    st.tuples(st.sampled_from([HEX, HEX[::-1]]), st.text(min_size=1, max_size=6)).map(
        lambda line: f"{line[0]}  {line[1]}\n"
    ),
    max_size=3,
).map("".join)
TEXTS = st.lists(PIECES, max_size=9).map("".join) | LINES | st.text(max_size=200)

_ONLY_THE_SERVER = ("out of order", "there already", "a folder of its path", "at least one file")


def _server(text: str) -> list[tuple[str, str]] | str:
    try:
        return [(line.path, line.digest) for line in read([text.encode(errors="surrogatepass")])]
    except Error as refused:
        return str(refused)


def _client(text: str) -> list[tuple[str, str]] | None:
    try:
        return list(manifest_entries(text))
    except Error:
        return None


@given(TEXTS)
@example(f"{HEX}  a\r\n")
@example(f"{HEX}  a\u2028b\n")
@example(f"{HEX}  a\n{HEX}  b")
def test_both_give_the_same_verdict_and_the_same_files(text: str) -> None:
    server, client = _server(text), _client(text)

    if isinstance(server, str):
        assert client is None or any(why in server for why in _ONLY_THE_SERVER)
    else:
        assert client == server
        assert manifest_text(server) == text
