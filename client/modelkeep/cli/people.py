"""Names in answers, as people know them."""

from typing import TYPE_CHECKING

from modelkeep.errors import NotFoundError, PermissionDeniedError, UnimplementedError
from modelkeep.names import Reference

if TYPE_CHECKING:
    from modelkeep import Client


class People:
    """Display names of those who act, each looked up once."""

    def __init__(self, registry: "Client") -> None:
        self._registry = registry
        self._known: dict[str, str] = {}

    def name(self, principal: str) -> str:
        """Give a display name, or the id where there is none to be had."""
        if principal not in self._known:
            self._known[principal] = self._look_up(principal) or principal
        return self._known[principal]

    def _look_up(self, principal: str) -> str:
        if not principal:
            return "-"
        try:
            return self._registry.principal(principal).display_name
        except (NotFoundError, PermissionDeniedError, UnimplementedError):
            return ""


def short(name: str) -> str:
    """Write a resource name as a reference: `fraud/churn:7`, `fraud/churn@champion`, `fraud/`."""
    match name.split("/"):
        case ["namespaces", namespace]:
            return f"{namespace}/"
        case ["namespaces", namespace, "assets", asset]:
            return f"{namespace}/{asset}"
        case ["namespaces", namespace, "assets", asset, "versions", number] if number.isdigit():
            return str(Reference(namespace, asset, int(number)))
        case ["namespaces", namespace, "assets", asset, "versions", number, "evaluations", one]:
            return f"{namespace}/{asset}:{number} evaluation {one}"
        case ["namespaces", namespace, "assets", asset, "aliases", alias]:
            return f"{namespace}/{asset}@{alias}"
    return name
