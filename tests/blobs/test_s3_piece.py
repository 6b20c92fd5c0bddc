"""Memory for a piece of an upload."""

from modelkeep_server.blobs.s3_piece import PieceBuffer


def test_it_takes_as_much_as_there_is_room_for() -> None:
    buffer = PieceBuffer(10)

    assert buffer.add(memoryview(b"abcdef")) == 6
    assert (buffer.content(), buffer.size, buffer.room) == (b"abcdef", 6, 4)
    assert buffer.add(memoryview(b"ghijkl")) == 4
    assert (buffer.content(), buffer.size, buffer.room) == (b"abcdefghij", 10, 0)
    assert buffer.add(memoryview(b"m")) == 0


def test_its_body_is_what_is_there_and_can_be_read_again() -> None:
    buffer = PieceBuffer(10)
    buffer.add(memoryview(b"abc"))
    assert buffer.body() == b"abc"
    buffer.add(memoryview(b"defghij"))

    for _ in range(2):
        body = buffer.body()
        assert not isinstance(body, bytes)
        assert (len(body), body.read(4), body.read()) == (10, b"abcd", b"efghij")


def test_what_was_there_before_is_not_there_again() -> None:
    buffer = PieceBuffer(4)
    buffer.add(memoryview(b"abcd"))
    buffer.clear()
    assert (buffer.content(), buffer.size, buffer.room, buffer.body()) == (b"", 0, 4, b"")

    buffer.add(memoryview(b"ef"))

    assert buffer.body() == b"ef"
