"""A registry that isn't there is one clear error."""

import socket
from pathlib import Path

import pytest

import modelkeep


@pytest.fixture
def nobody() -> str:
    """An address that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_the_error_names_the_address_and_what_to_do(nobody: str) -> None:
    with modelkeep.Client(nobody) as registry, pytest.raises(modelkeep.UnavailableError) as failed:
        registry.server_info()

    assert failed.value.reason == "SERVER_UNREACHABLE"
    assert nobody in str(failed.value)
    assert "modelkeep serve" in str(failed.value)
    assert "\n" not in str(failed.value)


def test_pushing_pulling_and_watching_say_so_too(nobody: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"x")
    with modelkeep.Client(nobody, cache=tmp_path / "cache") as registry:
        for act in (
            lambda: registry.push("churn", tmp_path / "m"),
            lambda: registry.pull("churn"),
            lambda: next(registry.watch()),
        ):
            with pytest.raises(modelkeep.UnavailableError) as failed:
                act()
            assert failed.value.reason == "SERVER_UNREACHABLE"


def test_making_a_client_asks_nothing(nobody: str) -> None:
    modelkeep.Client(nobody).close()


def test_a_closed_client_says_so(nobody: str) -> None:
    registry = modelkeep.Client(nobody)
    registry.close()

    for act in (registry.server_info, lambda: next(registry.watch())):
        with pytest.raises(modelkeep.CancelledError) as refused:
            act()
        assert refused.value.reason == "CLIENT_CLOSED"
