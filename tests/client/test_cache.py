"""The cache that many processes share: `docs/reference/cache.md`."""

import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import Folder, content
from tests.client.proxy import Proxy
from tests.running import RunningServer

import modelkeep
from modelkeep import Cache, Client
from modelkeep._cache_blobs import mark
from modelkeep._cache_claims import STALE_SECONDS, Claims, host

MIB = 1 << 20
LARGE, SMALL = os.urandom(3 * MIB), b"small"


@pytest.fixture
def pulled(registry: Client, folder: Folder) -> Path:
    """A version in the cache."""
    registry.push("churn", folder("out", {"large": LARGE, "small": SMALL, "conf/again": SMALL}))
    return registry.pull("churn")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob(registry: Client, data: bytes) -> Path:
    return registry.cache.blobs.path(_digest(data))


def test_the_layout_is_the_documented_one(registry: Client, pulled: Path) -> None:
    cache = registry.cache.path
    large = hashlib.sha256(LARGE).hexdigest()
    version = registry.version("churn").digest.removeprefix("sha256:")

    assert (cache / "blobs/sha256" / large[:2] / large).read_bytes() == LARGE
    assert pulled == cache / "trees/sha256" / version[:2] / version
    manifest = cache / "blobs/sha256" / version[:2] / version
    assert manifest.read_text() == registry.manifest("churn")
    assert sorted(os.listdir(cache)) == ["CACHEDIR.TAG", "blobs", "parts", "tmp", "trees"]
    assert os.listdir(cache / "tmp") == os.listdir(cache / "parts") == []


def test_a_tree_shares_its_bytes_with_the_blobs(registry: Client, pulled: Path) -> None:
    assert (pulled / "large").samefile(_blob(registry, LARGE))
    assert (pulled / "small").samefile(pulled / "conf" / "again")


def test_what_is_there_is_not_fetched_again(
    registry: Client, pulled: Path, proxy: Proxy, shaky: Client, tmp_path: Path
) -> None:
    assert shaky.pull("churn") == pulled
    assert content(shaky.pull("churn", tmp_path / "dest"))["large"] == LARGE
    assert proxy.received < 100_000


@pytest.mark.parametrize("name", ["large", "small"])
def test_a_file_that_someone_changed_is_fetched_again(
    registry: Client, pulled: Path, name: str
) -> None:
    before = content(pulled)
    (pulled / name).chmod(0o644)
    with (pulled / name).open("r+b") as file:
        file.write(b"oops")

    assert content(registry.pull("churn")) == before


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
def test_a_damaged_blob_never_reaches_a_folder(
    registry: Client, pulled: Path, tmp_path: Path, data: bytes
) -> None:
    before = content(pulled)
    path = _blob(registry, data)
    mark = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"x" * len(data))
    os.utime(path, ns=(mark.st_atime_ns, mark.st_mtime_ns))  # the disk did it, nobody wrote

    assert content(registry.pull("churn", tmp_path / "dest")) == before


def test_a_tree_of_copies_is_on_the_disk_before_it_is_trusted(
    registry: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("churn", folder("out", {"large": LARGE}))
    synced: set[int] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def no_links(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "link", no_links)

    file = registry.pull("churn") / "large"

    assert {file.stat().st_ino, _blob(registry, LARGE).stat().st_ino} <= synced


def test_a_tree_with_other_files_is_made_anew(registry: Client, pulled: Path) -> None:
    before = content(pulled)
    (pulled / "mine").write_bytes(b"mine")
    (pulled / "small").unlink()

    assert content(registry.pull("churn")) == before


def test_list_tells_what_was_used_last_first(registry: Client, pulled: Path) -> None:
    entries = registry.cache.list()

    assert sorted((entry.kind, entry.size) for entry in entries) == [
        ("blob", len(SMALL)),
        ("blob", len(registry.manifest("churn"))),
        ("blob", len(LARGE)),
        ("tree", 0),
    ]
    assert entries == sorted(entries, key=lambda entry: entry.used_time, reverse=True)
    assert entries[0].to_dict()["used_time"].endswith("Z")


def test_prune_removes_what_was_not_used_for_longest(registry: Client, folder: Folder) -> None:
    contents = [bytes([number]) * MIB for number in range(3)]
    for number, data in enumerate(contents):
        registry.push("churn", folder(f"out{number}", {"m": data}))
        tree = registry.pull("churn")
        age = time.time() - 1000 * (3 - number)
        os.utime(tree, (age, age))
        blob = _blob(registry, data)
        os.utime(blob, ns=(int(age * 1e9), blob.stat().st_mtime_ns))
    registry.pull("churn:1")  # used now

    removed = registry.cache.prune(max_size=2 * MIB + 1000)

    assert ("blob", _digest(contents[1])) in {(one.kind, one.digest) for one in removed}
    assert [_blob(registry, data).exists() for data in contents] == [True, False, True]
    assert sum(entry.size for entry in registry.cache.list()) <= 2 * MIB + 1000
    assert (registry.pull("churn:2") / "m").read_bytes() == contents[1]


def test_looking_at_the_cache_is_no_use_of_it(registry: Client, pulled: Path) -> None:
    os.utime(pulled, (1000, 1000))
    list(pulled.iterdir())

    for _ in range(2):
        (tree,) = (entry for entry in registry.cache.list() if entry.kind == "tree")
        assert tree.used_time.timestamp() == 1000
    registry.pull("churn")
    (tree,) = (entry for entry in registry.cache.list() if entry.kind == "tree")
    assert time.time() - tree.used_time.timestamp() < 60


def test_prune_can_empty_it(registry: Client, pulled: Path) -> None:
    before = content(pulled)

    registry.cache.prune()

    assert registry.cache.list() == []
    assert content(registry.pull("churn")) == before


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "nothing")

    assert cache.list() == cache.prune() == []
    assert not cache.path.exists()


def test_what_killed_processes_left_is_swept_after_a_day(registry: Client, pulled: Path) -> None:
    cache = registry.cache
    old, new = cache.parts / "aa.free", cache.path / "tmp" / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 90_000,) * 2)

    registry.cache.prune(max_size=1 << 40)

    assert not old.exists()
    assert new.exists()


def test_a_blob_that_is_about_to_get_its_name_is_not_swept(registry: Client) -> None:
    part = registry.cache.parts / "aa.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE)
    descriptor = os.open(part, os.O_RDWR)
    mark(descriptor)
    os.close(descriptor)

    registry.cache.sweep()

    assert part.read_bytes() == LARGE


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
def test_a_right_blob_that_came_meanwhile_is_not_removed(
    registry: Client, pulled: Path, data: bytes
) -> None:
    registry.cache.blobs.drop(_digest(data))

    assert _blob(registry, data).read_bytes() == data
    assert os.listdir(registry.cache.path / "tmp") == []


def test_a_link_in_the_place_of_a_blob_is_removed(registry: Client, pulled: Path) -> None:
    path = _blob(registry, SMALL)
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))

    assert registry.cache.blobs.find(_digest(SMALL)) is None

    assert not path.is_symlink()
    assert os.listdir(registry.cache.path / "tmp") == []


PULL = """
import sys, modelkeep
with modelkeep.Client(sys.argv[1], cache=sys.argv[2]) as registry:
    print(registry.pull("churn"))
"""


def test_processes_that_pull_at_once_fetch_each_byte_once(
    registry: Client, proxy: Proxy, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": os.urandom(MIB) * 60, "n": os.urandom(5 * MIB)})
    registry.push("churn", out)
    command = [sys.executable, "-c", PULL, proxy.address, str(tmp_path / "shared")]

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    places = {process.communicate()[0].strip() for process in processes}

    assert [process.returncode for process in processes] == [0] * 4
    (place,) = places
    assert content(Path(place)) == content(out)
    assert proxy.received < 80 * MIB


KILLED = """
import os, signal, sys, modelkeep
from modelkeep import _cache_blobs
_cache_blobs.mark = lambda _: os.kill(os.getpid(), signal.SIGKILL)
with modelkeep.Client(sys.argv[1], cache=sys.argv[2]) as registry:
    registry.pull("churn")
"""


def test_a_pull_that_was_killed_while_it_published_fetches_nothing_again(
    registry: Client, proxy: Proxy, folder: Folder, tmp_path: Path
) -> None:
    registry.push("churn", folder("out", {"m": os.urandom(9 * MIB)}))
    cache = tmp_path / "shared"
    command = [sys.executable, "-c", KILLED, proxy.address, str(cache)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    before = proxy.received

    with Client(proxy.address, cache=cache) as again:
        assert content(again.pull("churn")) == content(tmp_path / "out")

    assert proxy.received - before < MIB
    assert os.listdir(cache / "parts") == []


HALF_WAY = """
import os, signal, sys, modelkeep
from modelkeep._cache_parts import Part
write = Part.write

def killed(part, offset, data):
    write(part, offset, data)
    if offset + len(data) >= part.size // 2:
        os.kill(os.getpid(), signal.SIGKILL)

Part.write = killed
with modelkeep.Client(sys.argv[1], cache=sys.argv[2]) as registry:
    registry.pull("churn", sys.argv[3] or None)
"""


@pytest.mark.parametrize("into", ["dest", ""], ids=["a folder", "the cache"])
def test_a_pull_that_was_killed_half_way_fetches_the_other_half(
    registry: Client, proxy: Proxy, folder: Folder, tmp_path: Path, into: str
) -> None:
    registry.push("churn", folder("out", {"m": os.urandom(24 * MIB)}))
    cache, place = tmp_path / "shared", tmp_path / into if into else None
    command = [sys.executable, "-c", HALF_WAY, proxy.address, str(cache), str(place or "")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    before = proxy.received

    with Client(proxy.address, cache=cache) as again:
        assert content(again.pull("churn", place)) == content(tmp_path / "out")

    assert proxy.received - before < 13 * MIB


def _claim(folder: Path, age: float = 0, **changes: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "aa.claim"
    claim = {"host": host(), "process": os.getpid(), "part": "aa.part"} | changes
    path.write_text(json.dumps(claim))
    os.utime(path, (time.time() - age,) * 2)
    return path


def _dead() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_a_claim_that_is_held_is_not_taken(tmp_path: Path) -> None:
    claims = Claims(tmp_path)

    for claim in (
        _claim(tmp_path),
        _claim(tmp_path, host="elsewhere", process=1),
        _claim(tmp_path, age=STALE_SECONDS - 5),
    ):
        before = claim.read_text()
        assert claims.take("sha256:aa", "mine") is None
        assert claim.read_text() == before
    assert os.listdir(tmp_path) == ["aa.claim"]


def test_the_claim_of_a_dead_process_is_taken_with_its_part(tmp_path: Path) -> None:
    claim = _claim(tmp_path, process=_dead())
    claims = Claims(tmp_path)

    assert claims.take("sha256:aa", "mine") == "aa.part"
    assert json.loads(claim.read_text()) == {"host": host(), "process": os.getpid(), "part": "mine"}
    assert Claims(tmp_path).take("sha256:aa", "other") is None
    claims.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("holder", [{}, {"host": "elsewhere"}])
def test_a_stale_claim_is_taken_without_its_part(tmp_path: Path, holder: dict[str, str]) -> None:
    _claim(tmp_path, age=STALE_SECONDS + 1, **holder)
    claims = Claims(tmp_path)

    assert claims.take("sha256:aa", "mine") == ""
    claims.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}'])
def test_a_claim_that_cannot_be_read_is_stale_like_any_other(tmp_path: Path, text: str) -> None:
    claim = _claim(tmp_path)
    claim.write_text(text)
    claims = Claims(tmp_path)

    assert claims.take("sha256:aa", "mine") is None
    os.utime(claim, (time.time() - STALE_SECONDS - 1,) * 2)
    assert claims.take("sha256:aa", "mine") == ""
    claims.close()


def test_a_claim_that_another_took_over_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = _claim(tmp_path, age=STALE_SECONDS + 1, host="elsewhere")
    look = Claims._look

    def then_another_is_faster(claims: Claims, path: Path) -> object:
        seen = look(claims, path)
        monkeypatch.undo()
        assert Claims(tmp_path).take("sha256:aa", "theirs") == ""
        return seen

    monkeypatch.setattr(Claims, "_look", then_another_is_faster)

    assert Claims(tmp_path).take("sha256:aa", "mine") is None
    assert json.loads(claim.read_text())["part"] == "theirs"


def test_a_claim_is_touched_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelkeep._cache_claims.TOUCH_SECONDS", 0.02)
    claims = Claims(tmp_path)
    claims.take("sha256:aa", "mine")
    os.utime(tmp_path / "aa.claim", (0, 0))

    deadline = time.monotonic() + 5
    while (tmp_path / "aa.claim").stat().st_mtime < 1 and time.monotonic() < deadline:
        time.sleep(0.01)

    assert time.time() - (tmp_path / "aa.claim").stat().st_mtime < 10
    claims.close()


def test_a_host_is_this_machine(tmp_path: Path) -> None:
    assert host().startswith(socket.gethostname())


def test_the_usual_place_is_the_users_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MODELKEEP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache().path == tmp_path / "modelkeep"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache().path == tmp_path / ".cache" / "modelkeep"


def test_a_cache_that_cannot_be_read_is_no_hindrance_to_a_pull_into_a_folder(
    registry: Client, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is forbidden, so the system calls are made to refuse."""
    forbidden = str(registry.cache.path)
    real_open, real_stat = os.open, os.stat

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **named: Any) -> Any:
            if str(path).startswith(forbidden):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *rest, **named)

        return call

    before = content(pulled)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing(real_open))
        patched.setattr(os, "stat", refusing(real_stat))
        registry.pull("churn", tmp_path / "dest")

    assert content(tmp_path / "dest") == before


def test_a_cache_that_cannot_be_written_is_no_hindrance_to_a_pull_into_a_folder(
    server: RunningServer, registry: Client, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": LARGE})
    registry.push("churn", out)
    (tmp_path / "file").write_bytes(b"")

    with modelkeep.Client(server.address, cache=tmp_path / "file" / "cache") as client:
        assert content(client.pull("churn", tmp_path / "dest")) == content(out)
        with pytest.raises(modelkeep.FailedPreconditionError) as failed:
            client.pull("churn")
    assert failed.value.reason == "DISK_FAILED"
