"""Toxiproxy: a network between any two programs that is slow, narrow, or gone.

https://github.com/Shopify/toxiproxy, built with Go from what `toxiproxy/go.mod` pins.
"""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.parts.ports import free_port

_MODULE = Path(__file__).with_name("toxiproxy")
_PROGRAM = "github.com/Shopify/toxiproxy/v2/cmd/server"
_SECONDS = 20


def build(folder: Path) -> Path:
    """Build the program, or skip the test where there is no Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("toxiproxy is built with Go, and there is no `go` on PATH")
    program = folder / "toxiproxy"
    subprocess.run([go, "build", "-o", str(program), _PROGRAM], cwd=_MODULE, check=True)
    return program


class Toxiproxy:
    """A running toxiproxy."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def way_to(self, port: int) -> "Way":
        """Make a way to a port of loopback."""
        listen = f"127.0.0.1:{free_port()}"
        name = f"way-{listen}"
        wanted = {"name": name, "listen": listen, "upstream": f"127.0.0.1:{port}"}
        self.ask("POST", "/proxies", wanted)
        return Way(self, name, int(listen.rpartition(":")[2]))

    def ask(self, method: str, path: str, body: object = None) -> None:
        """Call its API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS):
            pass


class Way:
    """A way to a server, at a port of its own."""

    def __init__(self, proxy: Toxiproxy, name: str, port: int) -> None:
        self._proxy = proxy
        self._name = name
        self.port = port

    @property
    def address(self) -> str:
        """Where to go to take this way."""
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def with_toxic(
        self, kind: str, *, stream: str = "downstream", **attributes: int
    ) -> Iterator[None]:
        """Disturb what goes this way, until the end of the block."""
        path = f"/proxies/{self._name}/toxics"
        toxic = {"name": kind, "type": kind, "stream": stream, "attributes": attributes}
        self._proxy.ask("POST", path, toxic)
        try:
            yield
        finally:
            self._proxy.ask("DELETE", f"{path}/{kind}")

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Refuse connections, and cut those there are, until the end of the block."""
        path = f"/proxies/{self._name}"
        self._proxy.ask("POST", path, {"enabled": False})
        try:
            yield
        finally:
            self._proxy.ask("POST", path, {"enabled": True})


@contextmanager
def toxiproxy(program: Path) -> Iterator[Toxiproxy]:
    """Run a toxiproxy until the end of the block."""
    port = free_port()
    process = subprocess.Popen(
        [str(program), "-host", "127.0.0.1", "-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, process)
        yield Toxiproxy(port)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=1):
                return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
