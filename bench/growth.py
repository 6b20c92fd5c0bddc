"""How the cost of a get and of a page grows with the number of versions: as n to the power x.

The server's own service methods are called in this process: the cost of an rpc is the same at any
number of versions, several times theirs, and would hide how they grow.
"""

import math
import random
import statistics
from collections.abc import Callable
from functools import cached_property, partial

from bench import fill, servers
from bench.bounds import seconds
from bench.rows import Row
from bench.scene import Scene
from bench.wire import Work
from modelkeep.v1 import version_service_pb2 as versions
from modelkeep_server.services.versions import VersionService
from modelkeep_server.values.call import Call

CALL = Call("principals/bench", "bench", "modelkeep.v1.VersionService/ListVersions", "", b"", 0)
ASSET = "many"
LONG_STEP = 1_000
PAGE = 50


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = _Growth(scene)
    subjects: dict[str, Callable[[_Sized], object]] = {
        "get": _Sized.get,
        "first page": _Sized.first_page,
        "middle page": _Sized.middle_page,
        "last page": _Sized.last_page,
    }
    return [
        Row(f"growth of {what}", it.sizes_text, "x of nˣ", 0.12, partial(it.exponent, call))
        for what, call in subjects.items()
    ]


class _Growth:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._sizes = scene.amount((1_000, 100_000, 1_000_000), (1_000, 3_000))
        self._calls = scene.amount(1_000, 100)

    @property
    def sizes_text(self) -> str:
        return " → ".join(f"{size:,}" for size in self._sizes)

    @cached_property
    def _all(self) -> list["_Sized"]:
        return [_Sized(self._scene, size) for size in self._sizes]

    def exponent(self, call: Callable[["_Sized"], object]) -> float:
        """Give the slope of the straight line through (log n, log cost)."""
        taken: list[list[float]] = [[] for _ in self._all]
        for _ in range(self._calls):  # in turns
            for index, sized in enumerate(self._all):
                taken[index].append(seconds(partial(call, sized)))
        costs = [statistics.median(each) for each in taken]  # a pause of the machine is no cost
        return slope([math.log(n) for n in self._sizes], [math.log(cost) for cost in costs])


class _Sized:
    """So many versions of one asset."""

    def __init__(self, scene: Scene, count: int) -> None:
        folder = scene.folder() / "data"
        with servers.modelkeep(folder) as server, Work(server.address) as work:
            request = work.create_small(ASSET)
        fill.fill(folder, request, count - 1)
        self._service = VersionService(scene.parts.enter_context(fill.opened(folder)))
        self._parent, self._count = request.parent, count
        self._tokens = self._find_tokens()

    def get(self) -> None:
        """Get any version."""
        name = f"{self._parent}/versions/{random.randint(1, self._count)}"
        self._service.GetVersion(versions.GetVersionRequest(name=name), CALL)

    def first_page(self) -> None:
        self._page("")

    def middle_page(self) -> None:
        self._page(self._tokens[len(self._tokens) // 2])

    def last_page(self) -> None:
        self._page(self._tokens[-1])

    def _page(self, token: str, size: int = PAGE) -> bytes:
        request = versions.ListVersionsRequest(
            parent=self._parent, page_size=size, page_token=token
        )
        return self._service.ListVersions(request, CALL)

    def _next(self, token: str, size: int) -> str:
        page = versions.ListVersionsResponse.FromString(self._page(token, size))
        return page.next_page_token

    def _find_tokens(self) -> list[str]:
        """Walk to the last page, in long steps first: a token is good for pages of any size."""
        tokens = [""]
        size = min(LONG_STEP, self._count // 20)
        while size >= PAGE:
            if token := self._next(tokens[-1], size):
                tokens.append(token)
            else:
                size = PAGE if size > PAGE else 0
        return tokens


def slope(x: list[float], y: list[float]) -> float:
    """Fit a straight line by least squares."""
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    over = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return over / sum((a - middle_x) ** 2 for a in x)
