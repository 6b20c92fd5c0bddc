"""A TCP proxy that can be cut in the middle of a transfer, in either direction."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on until it's told to stop; new connections go through again."""

    def __init__(self, target: str) -> None:
        self.lead_to(target)
        self._withholding = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0  # connections that were cut
        self.sent = self.received = 0  # bytes that the client sent and received
        self._sent_limit = self._received_limit = -1
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def cut_after_sent(self, size: int) -> None:
        """Cut once the client has sent so many bytes more."""
        self._sent_limit = self.sent + size

    def cut_after_received(self, size: int) -> None:
        """Cut once the client has received so many bytes more."""
        self._received_limit = self.received + size

    def lead_to(self, target: str) -> None:
        """Take new connections to this server."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))

    def withhold_answers(self) -> None:
        """Pass on nothing more of what the server says, until the connections are cut."""
        self._withholding = True

    def cut(self) -> None:
        """Cut all connections now."""
        with self._lock:
            self.cuts += bool(self._open)
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._withholding = False  # only now, or an answer would slip through

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, function: object, *args: object) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)  # type: ignore[arg-type]  # a function
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            self._start(self._pass_on, client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._one_way, args=(server, client, False), daemon=True)
        back.start()
        self._one_way(client, server, True)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _one_way(self, source: socket.socket, target: socket.socket, sending: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._withholding and not sending:
                    continue
                target.sendall(data)
                self._count(len(data), sending)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int, sending: bool) -> None:
        with self._lock:
            if sending:
                self.sent += size
            else:
                self.received += size
            over = 0 <= self._sent_limit <= self.sent or 0 <= self._received_limit <= self.received
            if over:
                self._sent_limit = self._received_limit = -1
        if over:
            self.cut()
