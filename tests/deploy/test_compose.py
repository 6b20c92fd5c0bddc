"""The compose file gives each part what it needs, and no secret lies in it."""

import re
from pathlib import Path
from typing import Any

import yaml

from modelkeep_server.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
SECRETS = re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE)
DEMANDED = re.compile(r"\$\{(\w+):\?[^}]+\}")


def services() -> dict[str, dict[str, Any]]:
    """Read the services as Compose does, with a value for each secret."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(DEMANDED.sub(r"value-of-\1", TEXT))[
        "services"
    ]
    return services


def test_the_example_names_every_secret_and_gives_none() -> None:
    assert {name for name, _ in SECRETS} == set(DEMANDED.findall(TEXT))
    assert {value for _, value in SECRETS} == {""}
    assert "$" not in DEMANDED.sub("", TEXT)  # nothing that an empty variable would leave out


def test_the_server_takes_its_settings_from_the_compose_file() -> None:
    settings = load({}, services()["modelkeep"]["environment"])

    assert settings.workers == 2
    assert settings.listen.port == 50051
    assert settings.metrics_listen
    assert settings.metrics_listen.port == 50052


def test_the_ports_of_an_open_server_are_this_machines_alone() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_each_part_says_whether_it_is_well_and_the_server_waits_for_it() -> None:
    parts = services()

    assert all("healthcheck" in part for part in parts.values())
    waits = {name for name, how in parts["modelkeep"]["depends_on"].items()}
    assert waits == parts.keys() - {"modelkeep"}
    assert {how["condition"] for how in parts["modelkeep"]["depends_on"].values()} == {
        "service_healthy"
    }


def test_the_server_uses_the_parts_that_are_there() -> None:
    parts = services()
    environment = parts["modelkeep"]["environment"]

    assert "@postgres/" in environment["MODELKEEP_DATABASE"]
    assert (
        parts["postgres"]["environment"]["POSTGRES_PASSWORD"] in environment["MODELKEEP_DATABASE"]
    )
    assert "endpoint=http://s3:8333" in environment["MODELKEEP_BLOBS"]
    assert {"-s3.port=8333", "-bucket=modelkeep"} <= set(parts["s3"]["command"])
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment[key] == parts["s3"]["environment"][key]


def test_the_servers_container_writes_nothing_and_has_the_time_to_stop() -> None:
    server = services()["modelkeep"]

    assert server["read_only"] is True
    assert "volumes" not in server
    assert int(server["stop_grace_period"].removesuffix("s")) >= 40
