"""The container image, built and run without a container engine: buildah and a Debian base."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Two runs on one machine share buildah's store, but not these.
TAG = uuid.uuid4().hex
BASE = f"localhost/modelkeep-test-base:{TAG}"
IMAGE = f"localhost/modelkeep-test:{TAG}"

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("mmdebstrap"),
        reason="building an image takes root, buildah and mmdebstrap",
    ),
    pytest.mark.timeout(600),
    pytest.mark.image,
    # One worker builds it, for all of its tests.
    pytest.mark.xdist_group("image"),
]


def buildah(*arguments: str) -> str:
    command = ["buildah", "--storage-driver", "vfs", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container of the image, on a base that this machine can reach."""
    archive = tmp_path_factory.mktemp("image") / "base.tar"
    packages = "python3,python3-venv,ca-certificates"
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={packages}",
            "bookworm",
            archive,
        ],
        check=True,
        capture_output=True,
    )
    base = buildah("from", "scratch")
    buildah("add", base, str(archive), "/")
    # Where packages come through a proxy of its own authority, the build must trust it too.
    buildah("copy", base, str(CERTIFICATES), str(CERTIFICATES))
    for variable in ("SSL_CERT_FILE", "PIP_CERT"):
        buildah("config", "--env", f"{variable}={CERTIFICATES}", base)
    buildah("commit", "--rm", "--quiet", base, BASE)
    build = ["--isolation", "chroot", "--network", "host", "--build-arg", f"BASE={BASE}"]
    buildah("bud", "--format", "docker", "--quiet", *build, "--tag", IMAGE, ".")
    container = buildah("from", IMAGE)
    yield container
    buildah("rm", container)
    buildah("rmi", IMAGE, BASE)


def run(container: str, *command: str) -> str:
    return buildah("run", "--isolation", "chroot", "--network", "host", container, *command)


def test_the_image_runs_modelkeep_as_a_user_without_rights(container: str) -> None:
    assert run(container, "modelkeep", "--version").startswith("modelkeep ")
    assert run(container, "id", "-u") == "10001"
    assert run(container, "stat", "-c", "%a %u", "/data") == "700 10001"


def test_the_images_health_check_tells_a_server_that_serves(container: str) -> None:
    script = (
        "modelkeep serve --data /data --listen 127.0.0.1:50951 --metrics-listen off & "
        "until modelkeep --url 127.0.0.1:50951 health; do sleep 0.2; done; "
        "kill -TERM $!; wait $! && echo served"
    )

    assert run(container, "timeout", "60", "sh", "-c", script).endswith("served")


def test_the_images_settings_are_what_an_engine_needs(container: str) -> None:
    config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]

    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "modelkeep"]
    assert list(config["Volumes"]) == ["/data"]
    assert config["StopSignal"] == "SIGTERM"
