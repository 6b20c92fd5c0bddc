"""Memory for a piece of an upload, of a size that is known before.

It is mapped for itself, so it goes back to the system whole. Buffers that grow with what comes in
leave holes of all sizes in the heap: 32 uploads at once kept half as much again.
"""

import mmap


class PieceBuffer:
    """What has come of a piece; nothing is taken of memory before the first byte."""

    def __init__(self, capacity: int) -> None:
        """Hold nothing yet."""
        self.size = 0
        self._capacity = capacity
        self._memory: mmap.mmap | None = None

    @property
    def room(self) -> int:
        """How many bytes there is room for."""
        return self._capacity - self.size

    def add(self, data: memoryview) -> int:
        """Take as much of the data as there is room for, and answer how much."""
        if self._memory is None:
            self._memory = mmap.mmap(-1, self._capacity, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        end = min(self.size + len(data), self._capacity)
        count = end - self.size
        self._memory[self.size : end] = data[:count]
        self.size = end
        return count

    def clear(self) -> None:
        """Hold nothing, in the same memory."""
        self.size = 0

    def content(self) -> bytes:
        """Give a copy of what is there."""
        return self._memory[: self.size] if self._memory else b""

    def body(self) -> mmap.mmap | bytes:
        """Give what is there, to be read as a file is: a whole piece is not copied."""
        if self._memory is None or self.room:
            return self.content()
        self._memory.seek(0)
        return self._memory
