"""What Prometheus may know, on a port of its own.

Calls are counted on the event loop alone, in plain numbers that are made into series when
Prometheus asks: the library's own counters, with their locks, cost a call ten times as much.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http.server import HTTPServer
from threading import Thread

import prometheus_client
from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from modelkeep_server.edge.limits import Cap

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)


class Metrics:
    """The server's figures. A registry of its own, so that two servers in a process don't meet."""

    def __init__(self, version: str) -> None:
        """Start at zero. `errors` are counted by code and reason, on the event loop."""
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Info("modelkeep_build", "This server.", registry=self.registry)
        build.info({"version": version})
        self.refused = prometheus_client.Counter(
            "modelkeep_refused_calls",
            "Calls refused because too many of their kind were under way.",
            ["kind"],
            registry=self.registry,
        )
        self.internal_errors = prometheus_client.Counter(
            "modelkeep_internal_errors", "Faults of the server.", registry=self.registry
        )
        self.dropped_log_lines = prometheus_client.Counter(
            "modelkeep_dropped_log_lines",
            "Log lines that nobody read in time.",
            registry=self.registry,
        )
        self.errors: Counter[tuple[str, str]] = Counter()
        self.caps: list[Cap] = []
        self._methods: list[MethodMetrics] = []
        self.registry.register(_Calls(self._methods))
        self.registry.register(_Edge(self.errors, self.caps))

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Tell Prometheus what `read` says when it asks."""
        prometheus_client.Gauge(name, text, registry=self.registry).set_function(read)

    def of(self, method: str) -> "MethodMetrics":
        """Give one method's figures."""
        figures = MethodMetrics(method)
        self._methods.append(figures)
        return figures


class MethodMetrics:
    """One method's figures. On the event loop."""

    __slots__ = ("codes", "counts", "name", "received", "running", "seconds", "sent")

    def __init__(self, name: str) -> None:
        """Start at zero."""
        self.name = name
        self.running = 0
        self.codes: Counter[str] = Counter()
        self.counts = [0] * (len(SECONDS) + 1)
        self.seconds = 0.0
        self.received = 0
        self.sent = 0

    def ended(self, code: str, seconds: float, received: int, sent: int) -> None:
        """Count a call that ends."""
        self.running -= 1
        self.codes[code] += 1
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.seconds += seconds
        self.received += received
        self.sent += sent

    def buckets(self) -> list[tuple[str, float]]:
        """Give how many calls took at most so long."""
        total = 0
        buckets = []
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets


class _Calls(Collector):
    """Makes the methods' figures into series."""

    def __init__(self, methods: Iterable[MethodMetrics]) -> None:
        self._methods = methods

    def collect(self) -> Iterator[Metric]:
        label = ["method"]
        calls = CounterMetricFamily("modelkeep_calls", "Calls ended.", labels=["method", "code"])
        running = GaugeMetricFamily("modelkeep_calls_running", "Calls under way.", labels=label)
        seconds = HistogramMetricFamily(
            "modelkeep_call_seconds", "How long calls took.", labels=label
        )
        received = CounterMetricFamily(
            "modelkeep_received_bytes", "Message bytes in.", labels=label
        )
        sent = CounterMetricFamily("modelkeep_sent_bytes", "Message bytes out.", labels=label)
        for method in self._methods:
            labels = [method.name]
            for code, count in list(method.codes.items()):
                calls.add_metric([method.name, code], count)
            running.add_metric(labels, method.running)
            seconds.add_metric(labels, method.buckets(), method.seconds)
            received.add_metric(labels, method.received)
            sent.add_metric(labels, method.sent)
        yield from (calls, running, seconds, received, sent)


class _Edge(Collector):
    """Makes into series what concerns no single method."""

    def __init__(self, errors: Counter[tuple[str, str]], caps: Iterable[Cap]) -> None:
        self._errors = errors
        self._caps = caps

    def collect(self) -> Iterator[Metric]:
        errors = CounterMetricFamily(
            "modelkeep_errors", "Calls that ended with an error.", labels=["code", "reason"]
        )
        for labels, count in list(self._errors.items()):
            errors.add_metric(labels, count)
        slots = GaugeMetricFamily(
            "modelkeep_slots", "How many calls may be under way at once.", labels=["kind"]
        )
        taken = GaugeMetricFamily(
            "modelkeep_slots_taken", "How many of these are taken.", labels=["kind"]
        )
        for cap in self._caps:
            slots.add_metric([cap.kind], cap.limit)
            taken.add_metric([cap.kind], cap.taken)
        yield from (errors, slots, taken)


def serve(registry: CollectorRegistry, host: str, port: int) -> tuple[HTTPServer, Thread]:
    """Answer Prometheus at this address; `OSError` where it is taken."""
    return prometheus_client.start_http_server(port, host, registry=registry)
