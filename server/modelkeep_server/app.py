"""The one place where parts are wired together.

A new service is one line in `build`.
"""

import asyncio
import importlib.metadata
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from prometheus_client import CollectorRegistry

from modelkeep.errors import Error, UnavailableError
from modelkeep.v1 import (
    access_service_pb2,
    admin_service_pb2,
    artifact_service_pb2,
    asset_service_pb2,
    event_service_pb2,
    monitoring_service_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_service_pb2,
)
from modelkeep_server.blobs import BlobStore, open_published, open_store
from modelkeep_server.domain import namespaces, ownership, upkeep
from modelkeep_server.domain.checkpoints import Checkpoints
from modelkeep_server.domain.collection import Collection
from modelkeep_server.domain.operations import Operations
from modelkeep_server.domain.verification import Verification
from modelkeep_server.edge import metrics, tracing
from modelkeep_server.edge.access import OpenAccess
from modelkeep_server.edge.handlers import Edge
from modelkeep_server.edge.identity import OpenIdentity
from modelkeep_server.edge.logs import Logger
from modelkeep_server.edge.methods import Service
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.server import GrpcServer
from modelkeep_server.edge.stopping import Stop
from modelkeep_server.records import blobs
from modelkeep_server.records.folder import make_for_blobs
from modelkeep_server.records.opening import open_records, start_error, surveying
from modelkeep_server.records.records import Records
from modelkeep_server.records.settings import registry_id
from modelkeep_server.services.access import AccessService
from modelkeep_server.services.admin import AdminService
from modelkeep_server.services.artifacts import ArtifactService
from modelkeep_server.services.assets import AssetService
from modelkeep_server.services.events import EventService
from modelkeep_server.services.monitoring import MonitoringService
from modelkeep_server.services.namespaces import NamespaceService
from modelkeep_server.services.operations import OperationService
from modelkeep_server.services.versions import VersionService
from modelkeep_server.settings import Address, Settings
from modelkeep_server.values.call import SYSTEM
from modelkeep_server.values.capacity import Capacity
from modelkeep_server.values.place import Place
from modelkeep_server.values.start import StartError

SWEEP_SECONDS = 600.0
"""How often what has had its time is dropped."""
CHECKPOINT_SECONDS = 60.0
"""How often the log's checkpoint is put where others keep it."""
_LAST_SECONDS = 5.0


def build(settings: Settings, log: Logger, figures: Metrics) -> "App":
    """Make a server of these settings, or say why it can't start."""
    check_addresses(settings)
    try:
        return _build(settings, log, figures)
    except StartError:
        raise
    except Exception as problem:
        told = start_error(settings.data, problem) or _storage_error(settings.data, problem)
        if told is None:
            raise
        raise told from problem


def _build(settings: Settings, log: Logger, figures: Metrics) -> "App":
    capacity = Capacity(
        unary_calls=settings.max_unary_calls,
        uploads=settings.max_uploads,
        downloads=settings.max_downloads,
        watches=settings.max_watches,
        idle_seconds=settings.idle_timeout_seconds,
    )
    stop = Stop()
    with ExitStack() as parts:
        records = parts.enter_context(
            open_records(settings.database, settings.data, lambda why: stop.ask(why, exit_code=1))
        )
        if records.is_shared and settings.blobs is None:
            make_for_blobs(settings.data)
        store = open_store(
            settings.blobs,
            settings.s3_keys,
            settings.data,
            lambda why: stop.ask(why, exit_code=1),
            used=blobs.has_any(records.read()),
        )
        place = Place(settings.data, settings.database, settings.blobs)
        if place.is_apart:
            mine = records.bookkeep(registry_id)
            ownership.claim(mine, records.read(), store, place.store_name)
        upkeep.begin(records, store)
        namespaces.ensure_default(records, SYSTEM)
        operations = Operations(
            records,
            [Collection(records, store), _verification(settings, store)],
            lambda what, fault: log.error(what, exc_info=fault),
        )
        parts.callback(operations.stop)
        checkpoints = Checkpoints(records)
        published = None
        if settings.checkpoints is not None:
            published = open_published(settings.checkpoints, settings.s3_keys)
        services: list[Service] = [
            _service(access_service_pb2, AccessService(records)),
            _service(
                admin_service_pb2, AdminService(version(), True, capacity, records, operations)
            ),
            _service(
                artifact_service_pb2,
                ArtifactService(
                    records, store, settings.max_uploads, gives_links=settings.links == "auto"
                ),
            ),
            _service(asset_service_pb2, AssetService(records)),
            _service(event_service_pb2, EventService(records, checkpoints)),
            _service(monitoring_service_pb2, MonitoringService(records)),
            _service(namespace_service_pb2, NamespaceService(records)),
            _service(operation_service_pb2, OperationService(records, operations)),
            _service(version_service_pb2, VersionService(records)),
        ]
        identity = OpenIdentity(records.principal_key)
        tracer = tracing.tracer(os.environ, version(), log)
        if tracer:
            parts.callback(tracer.close)
        edge = Edge(
            identity,
            OpenAccess(),
            capacity,
            figures,
            log,
            read_together=records.read_together,
            tracer=tracer,
        )
        _show(figures, records, checkpoints)
        chores = [
            Chore("sweep", SWEEP_SECONDS, partial(upkeep.sweep, records, store)),
            Chore(
                "checkpoint",
                CHECKPOINT_SECONDS,
                partial(checkpoints.keep, published),
                at_stop=published is not None,
            ),
        ]
        close = parts.pop_all().close
        return App(settings, services, edge, figures, log, stop, chores, operations, close)


@dataclass(frozen=True, slots=True)
class Chore:
    """What a server does by itself again and again, from its start on."""

    name: str
    seconds: float
    do: Callable[[], None]
    at_stop: bool = False


class App:
    """A server that is ready to run."""

    def __init__(
        self,
        settings: Settings,
        services: list[Service],
        edge: Edge,
        figures: Metrics,
        log: Logger,
        stop: Stop,
        chores: Sequence[Chore],
        operations: Operations,
        close: Callable[[], None],
    ) -> None:
        """Take the parts; `close` lets go of what holds something."""
        self.settings = settings
        self.stop = stop
        self.close = close
        self._services = services
        self._edge = edge
        self._metrics = figures
        self._log = log
        self._chores = chores
        self._operations = operations

    async def run(self, ready: Callable[[Address, Address | None], None]) -> None:
        """Serve until `stop` is asked for; tell `ready` where, once calls are answered."""
        settings = self.settings
        server = GrpcServer(
            self._edge, self._services, self._metrics, shares_port=settings.workers > 1
        )
        with serving_metrics(settings, self._metrics.registry, self._log) as metrics_address:
            port = await server.start(settings.listen.host, settings.listen.port)
            ready(Address(settings.listen.host, port), metrics_address)
            chores = [asyncio.create_task(self._keep_doing(chore)) for chore in self._chores]
            self._operations.start()
            await self.stop.wait()
            for chore in chores:
                chore.cancel()
            self._log.info("stopping", reason=self.stop.reason)
            given_back = asyncio.to_thread(self._operations.stop)
            await asyncio.gather(server.stop(settings.drain_seconds), given_back)
            await self._end()

    def is_idle(self) -> bool:
        """Tell whether nothing runs in a thread any more."""
        return not self._edge.running()

    async def _end(self) -> None:
        """Do once more what should not be left undone, but let nothing hold up the stop."""
        for chore in self._chores:
            if chore.at_stop:
                await self._do(chore, _LAST_SECONDS)

    async def _keep_doing(self, chore: Chore) -> None:
        while True:
            begun = time.monotonic()
            await self._do(chore)
            await asyncio.sleep(max(0.0, begun + chore.seconds - time.monotonic()))

    async def _do(self, chore: Chore, most_seconds: float | None = None) -> None:
        try:
            async with asyncio.timeout(most_seconds):
                await asyncio.to_thread(chore.do)
        except Exception as fault:
            self._log.error(f"{chore.name} failed", exc_info=fault)


@contextmanager
def serving_metrics(
    settings: Settings, registry: CollectorRegistry, log: Logger
) -> Iterator[Address | None]:
    """Answer Prometheus until the end of the block; yields where, if anywhere."""
    wanted = settings.metrics_listen
    if wanted is None:
        yield None
        return
    try:
        http, _ = metrics.serve(registry, wanted.host, wanted.port)
    except OSError as problem:
        if "metrics_listen" in settings.given:
            raise StartError(
                f"can't serve metrics on {wanted}: {problem.strerror}; choose another with "
                "--metrics-listen, or off"
            ) from None
        log.warning("no metrics", address=str(wanted), problem=problem.strerror)
        yield None
        return
    try:
        yield Address(wanted.host, http.server_port)
    finally:
        http.shutdown()
        http.server_close()


def _show(figures: Metrics, records: Records, checkpoints: Checkpoints) -> None:
    figures.gauge(
        "modelkeep_published_log_position",
        "Position up to which this server has put a checkpoint of the log elsewhere; 0: nowhere.",
        lambda: checkpoints.published,
    )
    figures.gauge(
        "modelkeep_log_position",
        "Position of the last event that this server knows of.",
        lambda: records.known_position,
    )
    figures.gauge(
        "modelkeep_writes_waiting",
        "Writes that wait for this server's next commit.",
        lambda: records.writes_waiting,
    )


def version() -> str:
    """Give this modelkeep's version."""
    try:
        return importlib.metadata.version("modelkeep")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _verification(settings: Settings, store: BlobStore) -> Verification:
    folder = settings.data if settings.database is None else None
    return Verification(surveying(settings.database, settings.data), store.files, folder)


def _service(module: object, instance: object) -> Service:
    """Pair a service's descriptor with what serves it; a module has one service."""
    file: FileDescriptor = module.DESCRIPTOR  # type: ignore[attr-defined]  # generated
    return file.services_by_name[type(instance).__name__], instance


def _storage_error(data: Path, problem: BaseException) -> StartError | None:
    cause = problem.__cause__ if isinstance(problem, Error) and problem.__cause__ else problem
    if isinstance(problem, UnavailableError) and not isinstance(cause, OSError):
        return StartError(str(problem))
    if not isinstance(cause, OSError | Error):
        return None
    why, where = str(cause), data
    if isinstance(cause, OSError):
        why, where = cause.strerror or why, cause.filename or data
    return StartError(
        f"the data folder {data} can't be used: {where}: {why}; see that its disk works and has "
        "room, and that this user may write there"
    )


def check_addresses(settings: Settings) -> None:
    """Refuse addresses at which nothing may be served."""
    if settings.listen.port and settings.listen == settings.metrics_listen:
        raise StartError(
            f"calls and metrics can't both be served at {settings.listen}; choose another address "
            "with --listen or --metrics-listen, or --metrics-listen off"
        )
    if not settings.listen.is_loopback and not settings.allow_open:
        raise StartError(
            f"won't listen on {settings.listen}: this server runs open, so anyone who reaches it "
            "may do anything; listen on 127.0.0.1, or say --allow-open if you mean it"
        )
