"""The form of a manifest: what is right is read as it was written, all else is refused."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.errors import InvalidArgumentError
from modelkeep.names import check_path
from modelkeep_server.domain.manifest_text import Line, read


def _is_path(text: str) -> bool:
    try:
        check_path(text, "path")
    except InvalidArgumentError:
        return False
    return True


SEGMENT = st.one_of(
    st.sampled_from(["a", "b", "a-b", "a.b", "ab", "A", "é", "0", " ", "a b", "~"]),
    st.text(max_size=8).filter(_is_path),
)
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join).filter(_is_path)
DIGEST = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")


def _without_folders(files: dict[str, str]) -> dict[str, str]:
    folders = {path[:at] for path in files for at, char in enumerate(path) if char == "/"}
    return {path: name for path, name in files.items() if path not in folders}


FILES = st.dictionaries(PATH, DIGEST, min_size=1, max_size=12).map(_without_folders)


def _lines(files: dict[str, str]) -> list[bytes]:
    return [
        files[path].removeprefix("sha256:").encode() + b"  " + path.encode() + b"\n"
        for path in sorted(files, key=str.encode)
    ]


def _refused(text: bytes) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as refused:
        list(read([text]))
    assert refused.value.reason == "MANIFEST_INVALID"
    return refused.value


@given(FILES, st.integers(1, 500))
def test_a_manifest_is_read_as_it_was_written(files: dict[str, str], size: int) -> None:
    text = b"".join(_lines(files))
    blocks = [text[at : at + size] for at in range(0, len(text), size)]

    found = list(read(blocks))

    assert found == [Line(files[path], path) for path in sorted(files, key=str.encode)]


BAD_LINES = st.one_of(
    st.sampled_from([b"\n", b"x\n", b"0" * 64 + b"\n", b"0" * 64 + b"  \n", b"0" * 64 + b"   /\n"]),
    st.sampled_from(["..", "a/../b", "/a", "a/", "a//b", ".", "a\\b", "a\rb", "\u202ea"]).map(
        lambda path: b"0" * 64 + b"  " + path.encode() + b"\n"
    ),
    st.sampled_from([b"\xff", b"a\x00", b"\xed\xa0\x80"]).map(
        lambda p: b"0" * 64 + b"  " + p + b"\n"
    ),
)


@given(FILES, BAD_LINES, st.data())
def test_a_manifest_with_one_bad_line_is_refused(
    files: dict[str, str], bad: bytes, data: st.DataObject
) -> None:
    lines = _lines(files)
    at = data.draw(st.integers(0, len(lines)))

    error = _refused(b"".join([*lines[:at], bad, *lines[at:]]))

    assert 1 <= int(error.metadata["line"]) <= at + 1


HEAD_CHANGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda line: b"g" + line[1:],
    lambda line: line[1:],
    lambda line: b"0" + line,
    lambda line: line[:64] + line[65:],
    lambda line: line[:64] + b" *" + line[66:],
    lambda line: line[:64] + b"\t " + line[66:],
    lambda line: b"A" * 64 + line[64:],
)


@given(FILES, st.sampled_from(HEAD_CHANGES), st.data())
def test_a_line_whose_head_is_altered_is_refused(
    files: dict[str, str], change: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    lines = _lines(files)
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = change(lines[at])

    assert _refused(b"".join(lines)).metadata["line"] == str(at + 1)


@given(FILES, st.data())
def test_two_lines_in_each_others_place_are_refused(
    files: dict[str, str], data: st.DataObject
) -> None:
    lines = _lines(files | {"\u00e9\u00e9": "sha256:" + "0" * 64, "!": "sha256:" + "1" * 64})
    at = data.draw(st.integers(0, len(lines) - 2))
    lines[at], lines[at + 1] = lines[at + 1], lines[at]

    assert _refused(b"".join(lines)).metadata["line"] == str(at + 2)


@given(FILES, st.data())
def test_a_line_that_comes_twice_is_refused(files: dict[str, str], data: st.DataObject) -> None:
    lines = _lines(files)
    at = data.draw(st.integers(0, len(lines) - 1))

    assert _refused(b"".join([*lines[:at], lines[at], *lines[at:]])).metadata["line"] == str(at + 2)


@given(FILES, st.data())
def test_a_file_that_is_also_a_folder_is_refused(
    files: dict[str, str], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    inside = f"{path}/{data.draw(SEGMENT)}"
    if _is_path(inside):
        assert "folder" in str(_refused(b"".join(_lines(files | {inside: "sha256:" + "0" * 64}))))


@given(FILES, st.integers(1, 400))
def test_a_manifest_that_was_cut_off_is_refused_unless_at_a_lines_end(
    files: dict[str, str], count: int
) -> None:
    text = b"".join(_lines(files))
    cut = text[:-count]
    if cut.endswith(b"\n"):
        assert len(list(read([cut]))) < len(files)
    else:
        _refused(cut)


@given(st.binary(max_size=300))
def test_anything_else_is_refused_and_never_a_fault(text: bytes) -> None:
    _refused(text)


def test_a_line_without_an_end_is_refused_before_it_is_all_read() -> None:
    read_blocks = 0

    def endless() -> Iterator[bytes]:
        nonlocal read_blocks
        while True:
            read_blocks += 1
            yield b"a" * 1000

    with pytest.raises(InvalidArgumentError):
        list(read(endless()))
    assert read_blocks < 5
