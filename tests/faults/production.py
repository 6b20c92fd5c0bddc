"""Two servers over Postgres and an S3 store, each way between them through toxiproxy."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from tests.faults.insisting import Insisting, insisting
from tests.parts.postgres import Postgres, new_database, postgres, through
from tests.parts.s3 import S3Server
from tests.parts.seaweed import seaweed
from tests.parts.toxiproxy import Toxiproxy, Way
from tests.rounds import Tally, check_kept
from tests.services.processes import ServerProcess, serving
from tests.services.wire import Registry
from tests.waiting import until

CLIENTS = 6
_SECONDS = 180


@dataclass
class Production:
    """All parts, and the ways between them.

    Attributes:
        to_servers: From clients to each server.
        to_database: From servers to Postgres.
        to_store: From servers to the S3 store.
    """

    postgres: Postgres
    store: S3Server
    servers: list[ServerProcess]
    to_servers: list[Way]
    to_database: Way
    to_store: Way

    @contextmanager
    def kept(self, tally: Tally, seed: int, name: str) -> Iterator[list[Insisting]]:
        """Let clients act before, during and after the block; nothing of theirs may be lost."""
        addresses = [way.address for way in self.to_servers]
        with insisting(addresses, CLIENTS, seed, name) as clients:
            _until_each_has_made_more(clients)
            yield clients
            _until_each_has_made_more(clients)
        tally.tried += sum(len(client.made) for client in clients)
        with grpc.insecure_channel(self.servers[0].address) as channel, tally.counting_faults():
            registry = Registry(channel, "default")
            for client in clients:
                for problem in client.problems(registry):
                    check_kept(False, problem)


@contextmanager
def production(folder: Path, proxy: Toxiproxy) -> Iterator[Production]:
    """Run all parts until the end of the block."""
    with ExitStack() as parts:
        database, store = parts.enter_context(postgres()), parts.enter_context(seaweed())
        to_database, to_store = proxy.way_to(database.port), proxy.way_to(store.port)
        url = through(new_database(database.url()), to_database.address)
        options = ("--blobs", store.url(port=to_store.port))
        servers = [
            parts.enter_context(serving(folder / f"server-{n}", *options, database=url))
            for n in range(2)
        ]
        ports = [int(server.address.rpartition(":")[2]) for server in servers]
        to_servers = [proxy.way_to(port) for port in ports]
        yield Production(database, store, servers, to_servers, to_database, to_store)


@contextmanager
def answering(way: Way, code: int) -> Iterator[None]:
    """Let something else answer every request that goes this way, always so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    address = ("127.0.0.1", way.port)
    with way.closed(), http.server.ThreadingHTTPServer(address, Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _until_each_has_made_more(clients: list[Insisting]) -> None:
    counts = [len(client.made) for client in clients]

    def has_each() -> bool:
        pairs = zip(clients, counts, strict=True)
        return all(len(client.made) > count or client.is_over for client, count in pairs)

    until(has_each, _SECONDS)
