"""Where settings come from, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest

from modelkeep_server.settings import SETTINGS, Address, SettingError, load
from modelkeep_server.values.s3_place import S3Keys, S3Place


def test_nothing_needs_to_be_set() -> None:
    settings = load({}, environment={})

    assert settings.data == Path("modelkeep-data")
    assert settings.listen == Address("127.0.0.1", 50051)
    assert settings.allow_open is False
    assert settings.given == frozenset()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "modelkeep.toml"
    config.write_text('max_uploads = 1\nmax_downloads = 1\nmax_watches = 1\nlog_level = "error"')
    environment = {"MODELKEEP_MAX_UPLOADS": "2", "MODELKEEP_MAX_DOWNLOADS": "2"}

    settings = load({"max_uploads": "3", "config": str(config)}, environment)

    assert (settings.max_uploads, settings.max_downloads, settings.max_watches) == (3, 2, 1)
    assert settings.log_level == "error"
    assert settings.max_unary_calls == 256


def test_the_environment_names_the_file_too(tmp_path: Path) -> None:
    config = tmp_path / "modelkeep.toml"
    config.write_text("allow_open = true\nidle_timeout_seconds = 1.5")

    settings = load({}, {"MODELKEEP_CONFIG": str(config)})

    assert settings.allow_open is True
    assert settings.idle_timeout_seconds == 1.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", ""),
        ("listen", "50051"),
        ("listen", "127.0.0.1:"),
        ("listen", "127.0.0.1:70000"),
        ("metrics_listen", "no"),
        ("allow_open", "maybe"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("max_unary_calls", "0"),
        ("max_uploads", "1.5"),
        ("max_downloads", "-1"),
        ("max_watches", "many"),
        ("idle_timeout_seconds", "nan"),
        ("drain_seconds", "31"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_its_variable(name: str, value: str) -> None:
    variable = f"MODELKEEP_{name.upper()}"

    with pytest.raises(SettingError) as refused:
        load({}, {variable: value})

    assert f"the setting {name} ({variable}) is {value!r}; it must be" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3", "must be local, or s3://BUCKET/PREFIX"),
        ("http://modelkeep", "must be local, or s3://BUCKET/PREFIX"),
        ("s3://", "must name a bucket"),
        ("s3://Bucket", "must name a bucket"),
        ("s3://bucket/../x", "must have a prefix"),
        ("s3://bucket/a//b", "must have a prefix"),
        ("s3://bucket/a b", "must have a prefix"),
        ("s3://bucket?endpoint=host:9000", "must have an endpoint such as"),
        ("s3://bucket?endpoint=http://host:port", "must have an endpoint such as"),
        ("s3://bucket?endpoint=http://host/path", "must have an endpoint such as"),
        ("s3://bucket?endpoint=http://hidden@host", "must have an endpoint such as"),
        ("s3://bucket?endpoint=", "must have an endpoint such as"),
        ("s3://bucket?region=", "must have a region such as"),
        (
            "s3://bucket?secret_key=hidden",
            "must have an endpoint, a region and a public_endpoint at most",
        ),
        ("s3://key:hidden@bucket", "must name no keys: they come from AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_bad_place_for_blobs_is_told_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(SettingError) as refused:
        load({"blobs": url}, {})

    assert f"the setting blobs (--blobs) is wrong; it {why}" in str(refused.value)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("local", None),
        ("s3://bucket", S3Place("bucket", "", "https://s3.amazonaws.com", "us-east-1")),
        (
            "s3://my.bucket/a/b_c/?endpoint=http://10.0.0.1:9000&region=eu-west-1",
            S3Place("my.bucket", "a/b_c/", "http://10.0.0.1:9000", "eu-west-1"),
        ),
        (
            "s3://bucket/x?endpoint=https://[::1]:9000/",
            S3Place("bucket", "x/", "https://[::1]:9000", "us-east-1"),
        ),
    ],
)
def test_a_place_for_blobs_is_read(url: str, place: S3Place | None) -> None:
    assert load({"blobs": url}, {}).blobs == place


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:hidden@db/x", "must be sqlite, or postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("postgresql://u:hid/den@db/x", "where special characters of a password are percent-encod"),
        ("postgresql://u:hid@den@db/x", "@ is %40, / is %2F, % is %25"),
        ("postgresql://u:hid?den@db/x", "percent-encoded"),
        ("postgresql://u:hid#den@db/x", "percent-encoded"),
        ("postgresql://u:hid den@db/x", "percent-encoded"),
        ("postgresql://u:hidden%zz@db/x", "percent-encoded"),
        ("postgresql://u:hidden%00@db/x", "percent-encoded"),
        ("postgresql://u:hidden%ff@db/x", "percent-encoded"),
        ("postgresql://u:hidden%", "percent-encoded"),
        ("postgresql://u:hidden/x", "percent-encoded"),
        ("postgresql://u:1234/hidden@db/x", "percent-encoded"),
        ("postgresql://u:1234?hidden=1@db/x", "percent-encoded"),
        ("postgresql://u@db/x?password=a&hidden=b", "must have parameters of libpq after the ?"),
        ("postgresql://u@db/x?hidden", "must have parameters of libpq after the ?"),
        (
            "postgresql://u:hidden@a,b/x?target_session_attrs=read-write",
            "must have target_session_attrs=primary, where it has one",
        ),
    ],
)
def test_a_bad_url_of_a_database_is_told_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(SettingError) as refused:
        load({}, {"MODELKEEP_DATABASE": url})

    said = str(refused.value)
    assert said.startswith("the setting database (MODELKEEP_DATABASE) is wrong; it must")
    assert why in said
    assert not {"hid", "den", "1234"} & set(re.findall(r"hid|den|1234", said))
    assert refused.value.__cause__ is None
    assert "\n" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:se%2Fcr%40t;'!$&()*+,=~:@db.example.com:5433/my_db",
        "postgresql://u@a,b:5433/x?target_session_attrs=primary",
        "postgresql://u@[::1]:5432/x?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql:///x?host=/run/postgresql&user=u",
        "postgresql://u@%2Frun%2Fpostgresql/x",
        "postgresql://",
    ],
)
def test_a_url_of_a_database_is_read(url: str) -> None:
    assert load({"database": url}, {}).database == url
    assert load({"database": url.replace("postgresql:", "postgres:")}, {}).database == url


def test_keys_are_read_and_never_shown() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "hidden"}

    settings = load({"blobs": "s3://bucket"}, keys)

    assert settings.s3_keys == S3Keys("who", "hidden")
    assert "hidden" not in repr(settings)
    assert load({}, {}).s3_keys is None


def test_a_bad_flag_and_a_bad_key_are_named_too(tmp_path: Path) -> None:
    config = tmp_path / "modelkeep.toml"
    config.write_text("max_uploads = true")

    with pytest.raises(SettingError, match=r"\(--listen\)"):
        load({"listen": "x"}, {})
    with pytest.raises(SettingError, match=r"\(max_uploads in .*modelkeep\.toml\)"):
        load({"config": str(config)}, {})


@pytest.mark.parametrize("text", ["uploads = 1", "[server]\nmax_uploads = 1"])
def test_an_unknown_key_is_refused_by_name(tmp_path: Path, text: str) -> None:
    config = tmp_path / "modelkeep.toml"
    config.write_text(text)

    with pytest.raises(SettingError, match="is no setting"):
        load({"config": str(config)}, {})


@pytest.mark.parametrize("content", [b"max_uploads =", b"\xff", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    config = tmp_path / "modelkeep.toml"
    if content is not None:
        config.write_bytes(content)

    with pytest.raises(SettingError, match=str(config)):
        load({"config": str(config)}, {})


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match="MODELKEEP_MAX_UPLOAD is no setting"):
        load({}, {"MODELKEEP_MAX_UPLOAD": "1"})


def test_variables_of_the_client_and_of_kubernetes_are_left_alone() -> None:
    foreign = {
        "MODELKEEP_URL": "x",
        "MODELKEEP_TOKEN": "x",
        "MODELKEEP_CACHE": "x",
        "MODELKEEP_FROM_DATABASE": "x",
        "MODELKEEP_TO_DATABASE": "x",
        "MODELKEEP_BACKUP_AWS_ACCESS_KEY_ID": "x",
        "MODELKEEP_PORT": "tcp://10.0.0.1:50051",
        "MODELKEEP_PORT_50051_TCP_ADDR": "10.0.0.1",
        "MODELKEEP_SERVICE_HOST": "10.0.0.1",
        "MODELKEEP_SERVICE_PORT_GRPC": "50051",
    }

    assert load({}, foreign).given == frozenset()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_loopback_is_known(host: str) -> None:
    assert load({"listen": f"{host}:1"}, {}).listen.is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "127.evil.example", "example.org"])
def test_what_is_not_loopback_is_known(host: str) -> None:
    assert not load({"listen": f"{host}:1"}, {}).listen.is_loopback


def test_every_default_is_right() -> None:
    for name, setting in SETTINGS.items():
        assert getattr(load({}, {}), name) == setting.parse(setting.default)
