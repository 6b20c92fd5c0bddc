"""Where the registry is, and what is sent there."""

import pytest

import modelkeep
from modelkeep._address import Address


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051, False),
        ("localhost", "localhost", 50051, False),
        ("[::1]:9", "[::1]", 9, False),
        ("http://models.example", "models.example", 80, False),
        ("http://models.example:8080/", "models.example", 8080, False),
        ("https://models.example", "models.example", 443, True),
        ("https://127.0.0.1:50051", "127.0.0.1", 50051, True),
        ("models.example:50051", "models.example", 50051, True),
        ("10.0.0.7", "10.0.0.7", 50051, True),
        ("HTTPS://Models.example", "Models.example", 443, True),
    ],
)
def test_an_address_says_whether_the_way_is_encrypted(
    url: str, host: str, port: int, tls: bool
) -> None:
    assert Address.parse(url) == Address(host, port, tls)


@pytest.mark.parametrize(
    ("url", "target", "tls"),
    [
        ("127.0.0.1:1,127.0.0.2:1", "ipv4:127.0.0.1:1,127.0.0.2:1", False),
        ("127.0.0.1:1,10.0.0.7", "ipv4:127.0.0.1:1,10.0.0.7:50051", True),
        ("http://10.0.0.7:1, 10.0.0.8:2/", "ipv4:10.0.0.7:1,10.0.0.8:2", False),
        ("https://[fd00::7],[fd00::8]:2", "ipv6:[fd00::7]:443,[fd00::8]:2", True),
    ],
)
def test_several_servers_are_named_by_their_numbers(url: str, target: str, tls: bool) -> None:
    address = Address.parse(url)

    assert (address.target, address.tls) == (target, tls)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://models.example",
        "ftp://models.example:21",
        "a b",
        "models:0",
        "models:65536",
        "user@models",
        "x/y/z",
        "models-1:1,models-2:1",
        "10.0.0.7:1,models-2:1",
        "10.0.0.7:1,[::1]:1",
        "10.0.0.7:1,",
        "10.0.0.7:1,10.0.0.8:0",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        Address.parse(url)

    assert refused.value.reason == "URL_INVALID"
    assert refused.value.fields[0].field == "url"


@pytest.mark.parametrize("url", ["http://models.example", "http://127.0.0.1:80,10.0.0.7:80"])
def test_a_token_is_not_sent_to_another_host_in_plain_text(url: str) -> None:
    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        modelkeep.Client(url, token="secret")

    assert refused.value.reason == "TOKEN_NOT_ENCRYPTED"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "localhost:1", "https://models.example"])
def test_a_token_may_go_to_this_machine_or_through_tls(url: str) -> None:
    modelkeep.Client(url, token="secret").close()


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("MODELKEEP_URL", "https://models.example")
    monkeypatch.setenv("MODELKEEP_CACHE", "/somewhere")

    with modelkeep.Client() as client:
        assert client.url == "https://models.example"
        assert str(client.cache.path) == "/somewhere"
