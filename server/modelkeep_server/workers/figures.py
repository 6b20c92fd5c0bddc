"""What Prometheus may know of all workers, at one address.

Each worker's series have its number as the label `worker`, so that a sum over them is right, and
a rate too after one was started again: its counters alone begin at zero then.
"""

import threading
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelkeep_server.workers.process import Worker


class WorkerFigures(Collector):
    """Asks all workers whenever Prometheus asks."""

    def __init__(self, workers: Callable[[], Sequence[Worker]]) -> None:
        """Ask these, which are other ones after a while."""
        self.registry = CollectorRegistry()
        self.restarts = Counter(
            "modelkeep_worker_restarts",
            "Workers started in place of one that ended.",
            registry=self.registry,
        )
        self._workers = workers
        self._asking = threading.Lock()
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give every worker's figures, and how many workers serve."""
        with self._asking:
            workers = [worker for worker in self._workers() if worker.is_serving]
            for worker in workers:
                worker.ask_figures()
            told = {worker.number: worker.figures() for worker in workers}
        yield GaugeMetricFamily("modelkeep_workers", "Workers that serve.", len(workers))
        yield from _joined(told).values()


def _joined(told: dict[int, list[Metric]]) -> dict[str, Metric]:
    joined: dict[str, Metric] = {}
    for number, metrics in told.items():
        for metric in metrics:
            family = joined.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                labels = {**sample.labels, "worker": str(number)}
                family.add_sample(sample.name, labels, sample.value)
    return joined
