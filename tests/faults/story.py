"""One push, from the first byte to the alias, whose steps may fail and be asked for again."""

import uuid
from dataclasses import dataclass, field
from random import Random

import grpc
from tests.services.wire import MIB, Refusal, Registry, digest, download, status

FILES = {
    # Large enough to be made durable while it is still coming in.
    "weights.bin": Random(1).randbytes(9 * MIB),
    "config.json": b"{}",
    "vocabulary.txt": b"a b c",
}
ASSET = "churn"
STEPS = ["sealed", "created", "aliased"]


@dataclass
class Story:
    """The push, and how far it came.

    Attributes:
        done: The steps that were acknowledged.
        refusal: What the step after them was answered.
    """

    create_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    alias_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: list[str] = field(default_factory=list)
    refusal: Refusal | None = None

    def tell(self, registry: Registry) -> None:
        """Push, make the version and set its alias, until one is refused."""
        self.done, self.refusal = [], None
        try:
            sealed = registry.seal(FILES)
            self.done.append("sealed")
            made = registry.create(ASSET, sealed, request_id=self.create_id)
            self.done.append("created")
            registry.set_alias("best", made.number, ASSET, request_id=self.alias_id)
            self.done.append("aliased")
        except grpc.RpcError as error:
            self.refusal = status(error)

    def lost(self, registry: Registry) -> list[str]:
        """Tell what was acknowledged and isn't there."""
        found = []
        if "sealed" in self.done and registry.missing(*map(digest, FILES.values())):
            found.append("blobs")
        if "created" in self.done and not is_whole(registry):
            found.append("the version")
        if "aliased" in self.done and registry.get("@best", ASSET).number != 1:
            found.append("the alias")
        return found


def is_whole(registry: Registry) -> bool:
    """Tell whether there is one version, its bytes right, made by one event."""
    got = dict(zip(FILES, download(registry, registry.version(1, ASSET), *FILES), strict=True))
    acts = registry.acts(registry.asset(ASSET))
    created = [act for act in acts if act == "version.created"]
    return registry.numbers(ASSET) == [1] and got == FILES and len(created) == 1
