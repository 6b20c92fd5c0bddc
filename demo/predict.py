"""A service that serves what is in production: a process of its own that knows a reference."""

import json
import sys
from pathlib import Path

import skops.io

import modelkeep
from demo.training import read


def main(reference: str, folder: str) -> None:
    """Pull the model and the data that it was trained on, and predict."""
    with modelkeep.Client() as registry:
        version = registry.version(reference)
        model_folder = registry.pull(version, Path(folder, "model"))
        data_folder = registry.pull(version.inputs[0].version, Path(folder, "data"))
    file = model_folder / "model.skops"
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    features, _ = read(data_folder)
    sys.stdout.write(
        json.dumps({"number": version.number, "answers": model.predict(features[:50]).tolist()})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
