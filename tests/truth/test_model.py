"""Whatever clients do, the server is what a small model of the rules says."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import grpc
import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.places import memory
from tests.rounds import LONG, Tally, rounds, seed
from tests.running import run_server
from tests.services.wire import Registry
from tests.truth.machine import USERS, Truth
from tests.verified import check_sound

SHARDS = 8  # so that all processors have their share until the end
STEPS = 20


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder in memory, where there is such a place: rules are not about disks."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder) / "data"


@pytest.mark.rounds("model")
@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_what_is_answered_is_what_the_model_says(data: Path, tally: Tally, shard: int) -> None:
    sequences = settings(
        max_examples=rounds(2_000, 20_000) // SHARDS,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    with run_server(data) as server, ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(server.address, [("client", user)]))
            for user in USERS
        ]

        class Sequence(Truth):
            clients = MappingProxyType(
                {u: Registry(c, "default", u) for u, c in zip(USERS, channels, strict=True)}
            )

        hypothesis.seed(seed() * SHARDS + shard)(Sequence)
        try:
            with tally.counting_faults():
                run_state_machine_as_test(Sequence, settings=sequences)
        finally:
            tally.tried += Sequence.ended
        assert server.figure("modelkeep_internal_errors_total") == 0
    check_sound(data)
