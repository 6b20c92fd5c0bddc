"""MLflow's own client, told by its standard input what to do. Runs in `.venv-mlflow`.

Its argument is where artifacts go. Without one they go through the server, to where that has them.

Each line is a command: `up NAME FOLDER` logs a folder as artifacts of a new run, `down NAME FOLDER`
downloads those of the latest run of that name. Each is answered by the seconds that it took.
"""

import sys
import time

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts


def main(location: str | None = None) -> None:
    """Carry commands out until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # as MLflow may print
    client = MlflowClient()
    experiment = client.create_experiment(f"bench {location}", location)
    runs: dict[str, str] = {}
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        command, name, folder = line.rstrip("\n").split(" ", 2)
        if command == "up":
            runs[name] = client.create_run(experiment).info.run_id
        started = time.perf_counter()
        if command == "up":
            client.log_artifacts(runs[name], folder)
        else:
            download_artifacts(run_id=runs[name], dst_path=folder)
        print(time.perf_counter() - started, file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
