"""Links are for those who may do without them what a link lets them do."""

from collections.abc import Callable

import pytest
from tests.s3.test_links import ask_links
from tests.s3.test_upload_links import upload_link
from tests.services.wire import Registry, download, refused

from modelkeep.errors import PermissionDeniedError
from modelkeep.v1 import artifact_service_pb2, options_pb2
from modelkeep_server.edge.access import OpenAccess
from modelkeep_server.values.call import Call

Deny = Callable[[str], None]

_RPCS = artifact_service_pb2.DESCRIPTOR.services_by_name["ArtifactService"].methods_by_name


@pytest.fixture
def deny(monkeypatch: pytest.MonkeyPatch) -> Deny:
    """Let nobody call a method, nor others that need its permission."""

    def deny(method: str) -> None:
        needed = _RPCS[method].GetOptions().Extensions[options_pb2.permission]

        def check(_: OpenAccess, __: Call, permission: str) -> None:
            if permission == needed:
                raise PermissionDeniedError("PERMISSION_MISSING", f"{needed} is not for you")

        monkeypatch.setattr(OpenAccess, "check", check)

    return deny


def test_who_may_not_download_gets_no_link(registry: Registry, deny: Deny) -> None:
    registry.create(files={"f": b"secret"})
    deny("DownloadFiles")

    with refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        download(registry, registry.version(1), "f")
    with refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        ask_links(registry, registry.version(1), "f")


def test_who_may_not_upload_gets_no_link(registry: Registry, deny: Deny) -> None:
    deny("UploadBlobs")

    with refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        registry.push_blobs(b"anything")
    with refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        upload_link(registry)
