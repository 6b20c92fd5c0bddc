"""The same calls of both servers over one Postgres, as fast as a lean client can make them.

modelkeep is asked by gRPC and MLflow by its REST, on connections that stay open; no SDK is timed.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from http.client import HTTPConnection
from urllib.parse import urlencode

from bench import mlflow_server
from bench.calls import LIST, Calls
from bench.places import Place
from bench.rows import Row
from bench.scene import Scene

API = "/api/2.0/mlflow"
MODEL = "calls"
WRITERS = 64
SOURCE = "s3://bucket/model"  # nothing is looked up for that


def rows(scene: Scene, place: Place) -> list[Row]:
    """Give this subject's rows."""
    ours, theirs = Calls(scene, lambda: place.modelkeep), _MLflow(scene, place)
    of, unit = f"MLflow {mlflow_server.version()}'s REST", "calls/s"
    return [
        Row("mlflow get", of, unit, 20, ours.get, theirs.get),
        Row(f"mlflow list {LIST}", of, unit, 40, ours.list_versions, theirs.list_versions),
        Row("mlflow create", of, unit, 12, ours.create, theirs.create),
        Row("mlflow create, apart", of, unit, 4, ours.create, theirs.create_apart),
    ]


class _MLflow:
    """Calls about a registered model of a hundred versions."""

    def __init__(self, scene: Scene, place: Place) -> None:
        self._place = place
        self._seconds = scene.amount(5.0, 0.5)

    def get(self) -> float:
        query = urlencode({"name": self._model, "alias": "champion"})
        return self._rate(16, lambda ask, _: ask("GET", f"registered-models/alias?{query}"))

    def list_versions(self) -> float:
        query = urlencode({"filter": f"name='{self._model}'", "max_results": LIST})
        return self._rate(16, lambda ask, _: ask("GET", f"model-versions/search?{query}"))

    def create(self) -> float:
        model = self._models[0]
        return self._rate(WRITERS, lambda ask, _: _create(ask, model))

    def create_apart(self) -> float:
        """Make versions, each caller of its own model: in one they wait for each other."""
        models = self._models
        return self._rate(WRITERS, lambda ask, number: _create(ask, models[number]))

    @cached_property
    def _model(self) -> str:
        """A model that has a hundred versions."""
        with closing(_Ask(self._place.mlflow.address)) as ask:
            ask("POST", "registered-models/create", name=MODEL)
            for _ in range(LIST):
                _create(ask, MODEL)
            ask("POST", "registered-models/alias", name=MODEL, alias="champion", version="1")
        return MODEL

    @cached_property
    def _models(self) -> list[str]:
        """One a caller."""
        names = [f"{MODEL}-{number}" for number in range(WRITERS)]
        with closing(_Ask(self._place.mlflow.address)) as ask:
            for name in names:
                ask("POST", "registered-models/create", name=name)
        return names

    def _rate(self, in_flight: int, call: Callable[["_Ask", int], object]) -> float:
        """Call for so long, so many in flight; calls a second."""
        address = self._place.mlflow.address
        started = time.perf_counter()

        def caller(number: int) -> int:
            done = 0
            with closing(_Ask(address)) as ask:
                while time.perf_counter() < started + self._seconds:
                    call(ask, number)
                    done += 1
            return done

        with ThreadPoolExecutor(in_flight) as callers:
            done = sum(callers.map(caller, range(in_flight)))
        return done / (time.perf_counter() - started)


class _Ask:
    """A connection; an answer is read and thrown away."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address)

    def __call__(self, method: str, path: str, **body: str) -> None:
        data = json.dumps(body) if body else None
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, f"{API}/{path}", data, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said

    def close(self) -> None:
        self._connection.close()


def _create(ask: _Ask, model: str) -> None:
    ask("POST", "model-versions/create", name=model, source=SOURCE)
