"""The log: who did what to which resources, when."""

from collections.abc import Iterator

from modelkeep import _convert_events
from modelkeep._client_base import Methods, pages
from modelkeep._refs import Resource, resource_name
from modelkeep._types import Event
from modelkeep._watch import Watch
from modelkeep.errors import NotFoundError, PermissionDeniedError, UnimplementedError
from modelkeep.v1 import access_service_pb2, event_pb2
from modelkeep.v1 import event_service_pb2 as pb


class LogMethods(Methods):
    """The log: who did what to which resources, when."""

    def history(self, resource: Resource | None = None) -> Iterator[Event]:
        """List the events of a resource and what is below it, or all, the latest first."""
        name = resource_name(resource)

        def fetch(token: str) -> tuple[list[Event], str]:
            request = pb.ListEventsRequest(resource=name, page_token=token, page_size=100)
            page = self._wire.call(self._wire.events.ListEvents, request)
            return [self._event(item) for item in page.events], page.next_page_token

        return pages(fetch)

    def watch(self, resource: Resource | None = None, *, after: int | None = None) -> Watch:
        """Yield events as they happen, for ever; a broken connection is made anew by itself.

        `after` is the position after which to begin (0: all there ever was); without it, now.
        Events come once each, in order. Close it, or the client, to end it.
        """
        return Watch(self._wire, self._event, resource_name(resource), after)

    def _event(self, message: event_pb2.Event) -> Event:
        return _convert_events.event(message, self._who(message.record.principal))

    def _who(self, principal: str) -> str:
        """Look a display name up, once; nothing where it can't be had."""
        if principal not in self._people:
            request = access_service_pb2.GetPrincipalRequest(name=principal)
            try:
                answer = self._wire.call(self._wire.access.GetPrincipal, request)
                self._people[principal] = answer.display_name
            except (NotFoundError, PermissionDeniedError, UnimplementedError):
                self._people[principal] = ""
        return self._people[principal]
