"""Namespaces, who acts, and the server itself."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from modelkeep import _convert
from modelkeep import _convert_values as values
from modelkeep._client_base import Methods, changed, pages, request_id
from modelkeep._refs import namespace_name
from modelkeep._types import Namespace, Principal, ServerInfo
from modelkeep.v1 import access_service_pb2, admin_service_pb2, namespace_pb2
from modelkeep.v1 import namespace_service_pb2 as pb


class NamespaceMethods(Methods):
    """Namespaces, who acts, and the server itself."""

    def namespace(self, name: str | Namespace) -> Namespace:
        """Get a namespace by `fraud` or `namespaces/fraud`."""
        return _convert.namespace(self._get_namespace(str(namespace_name(name))))

    def namespaces(self) -> Iterator[Namespace]:
        """List namespaces by name; pages are fetched as you go."""

        def fetch(token: str) -> tuple[list[Namespace], str]:
            request = pb.ListNamespacesRequest(page_token=token, page_size=1000)
            page = self._wire.call(self._wire.namespaces.ListNamespaces, request)
            return [_convert.namespace(item) for item in page.namespaces], page.next_page_token

        return pages(fetch)

    def create_namespace(
        self,
        name: str,
        *,
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        undelete_period: timedelta | None = None,
    ) -> Namespace:
        """Create a namespace. What is deleted in it can be undeleted for 30 days by default."""
        request = pb.CreateNamespaceRequest(
            namespace_id=namespace_name(name).namespace,
            namespace=namespace_pb2.Namespace(
                display_name=values.text(display_name, "display_name"),
                description=values.text(description, "description"),
                labels=values.labels(labels),
                undelete_period=values.duration(undelete_period),
            ),
            request_id=request_id(),
        )
        return _convert.namespace(self._wire.call(self._wire.namespaces.CreateNamespace, request))

    def update_namespace(
        self,
        name: str | Namespace,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        remove_labels: Sequence[str] = (),
        undelete_period: timedelta | None = None,
    ) -> Namespace:
        """Change a namespace, as `update` does a version."""
        full = str(namespace_name(name))

        def change() -> Namespace:
            now = self._get_namespace(full)
            request = pb.UpdateNamespaceRequest(
                namespace=namespace_pb2.Namespace(
                    name=full,
                    etag=now.etag,
                    undelete_period=values.duration(undelete_period),
                ),
                request_id=request_id(),
            )
            if undelete_period is not None:
                request.update_mask.paths.append("undelete_period")
            values.fill(
                request.namespace,
                request.update_mask,
                values.merged(now.labels, labels, remove_labels),
                display_name=display_name,
                description=description,
            )
            return _convert.namespace(
                self._wire.call(self._wire.namespaces.UpdateNamespace, request)
            )

        return changed(change)

    def principal(self, name: str = "principals/me") -> Principal:
        """Get someone who acts, by default yourself."""
        request = access_service_pb2.GetPrincipalRequest(name=name)
        return _convert.principal(self._wire.call(self._wire.access.GetPrincipal, request))

    def server_info(self) -> ServerInfo:
        """Tell what the server is, and its limits."""
        request = admin_service_pb2.GetServerInfoRequest()
        return _convert.server_info(self._wire.call(self._wire.admin.GetServerInfo, request))

    def _get_namespace(self, name: str) -> namespace_pb2.Namespace:
        request = pb.GetNamespaceRequest(name=name)
        return self._wire.call(self._wire.namespaces.GetNamespace, request)
