"""`make demo`: one line a step, and every answer is checked."""

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sklearn

import modelkeep
from demo import training
from demo.server import environment, serving

PARAMS = (
    {"n_estimators": 5, "max_depth": 1},
    {"n_estimators": 50, "max_depth": 4},
    {"n_estimators": 100, "max_depth": 8},
)


class Story:
    """Tells each step, and stops at the first answer that is wrong."""

    def __init__(self) -> None:
        """Begin."""
        self._count = 0
        self._started = time.monotonic()

    def step(self, text: str, *, right: bool) -> None:
        """Tell a step that is done, or that its answer is wrong."""
        self._count += 1
        mark = "✓" if right else "✗"
        print(f"{mark} {self._count:2} {text}", flush=True)
        if not right:
            raise SystemExit("the demo stops here: this answer is wrong")

    def end(self) -> None:
        """Tell how to go on."""
        took = time.monotonic() - self._started
        print(
            f"\nAll {self._count} checks passed in {took:.0f} s. To go on by yourself:\n"
            "    .venv/bin/modelkeep serve                        # in one terminal\n"
            "    .venv/bin/modelkeep push my-model PATH           # in another\n"
            "    .venv/bin/modelkeep alias set my-model production\n"
            "    .venv/bin/modelkeep pull my-model@production DEST\n"
            "README.md has the story, docs/ the rest."
        )


def main() -> None:
    """Run the story in a folder that is removed at its end."""
    story = Story()
    with tempfile.TemporaryDirectory(prefix="modelkeep-demo-") as name:
        folder = Path(name)
        with serving(folder) as address:
            story.step(f"a server is up at {address}, on SQLite and local files", right=True)
            os.environ.update(environment(address, folder))
            with modelkeep.Client(user="ada") as registry:
                tell(story, registry, folder)
    story.end()


def tell(story: Story, registry: modelkeep.Client, folder: Path) -> None:
    """The main job: data and models in, production moved, asked about, and taken out."""
    data = registry.push(
        "cancer-data", training.write_data(folder / "data"), kind="dataset", note="as downloaded"
    )
    story.step(
        f"the data set is {data.name}: {data.size:,} bytes, {data.digest[:19]}…",
        right=data.number == 1,
    )

    versions = [push(story, registry, folder, number) for number in range(1, len(PARAMS) + 1)]

    registry.set_alias(versions[1], "production")
    between = datetime.datetime.now(datetime.UTC)
    alias = registry.set_alias(versions[2], "production")
    before, now = registry.version("cancer:2"), registry.version("cancer@production")
    story.step(
        f"production moved from 2 to {now.number}; 2 is {before.stage} in the same transaction",
        right=(now.number, now.stage, before.stage) == (3, "production", "archived")
        and alias.version == now.name,
    )

    served = json.loads(
        subprocess.run(
            [sys.executable, "-m", "demo.predict", "cancer@production", str(folder / "service")],
            check=True,
            capture_output=True,
        ).stdout
    )
    _, answers = training.read(folder / "data")
    correct = sum(int(a == b) for a, b in zip(served["answers"], answers[:50], strict=True))
    story.step(
        f"a fresh process pulled version {served['number']}, verified it, and predicted "
        f"{correct} of 50 right",
        right=served["number"] == 3 and correct >= 45,
    )

    diff = registry.diff("cancer:1", "cancer:3")
    params = ", ".join(f"{c.key} {c.before}→{c.after}" for c in diff.params)
    auc = next(c for c in diff.metrics if c.key == "auc")
    story.step(
        f"1 against 3: {params}; auc {auc.before:.3f}→{auc.after:.3f}; "
        f"{len(diff.files)} file differs",
        right={c.key for c in diff.params} == {"max_depth", "n_estimators"}
        and [c.path for c in diff.files] == ["model.skops"],
    )

    events = list(registry.history("cancer"))
    whos = {event.who for event in events}
    story.step(
        f"the log has {len(events)} events on it: the last is {events[0].act} by {events[0].who}",
        right=events[0].act == "alias.set" and whos == {"unverified:ada"} and len(events) == 5,
    )

    then = registry.version("cancer@production", at=between)
    story.step(
        f"before the move, version {then.number} was in {then.stage}",
        right=(then.number, then.stage) == (2, "production"),
    )

    restored = registry.restore("cancer:1", note="the small one again")
    story.step(
        f"version 1 is restored as version {restored.number}, with the same digest and record",
        right=restored.number == 4
        and restored.digest == versions[0].digest
        and restored.params == versions[0].params,
    )

    try:
        registry.delete("cancer:3")
        refusal = None
    except modelkeep.FailedPreconditionError as refused:
        refusal = refused
    story.step(
        "what is in production can't be deleted: "
        + (f"{refusal.reason}, held by {refusal.metadata['holders']}" if refusal else "it was"),
        right=refusal is not None and refusal.reason == "VERSION_HELD",
    )


def push(story: Story, registry: modelkeep.Client, folder: Path, number: int) -> modelkeep.Version:
    """Train and push one version, with its data named as its input."""
    params = PARAMS[number - 1]
    trained = training.train(folder / "data", folder / f"model-{number}", params)
    version = registry.push(
        "cancer",
        trained.folder,
        params=params,
        metrics=trained.metrics,
        inputs=["cancer-data:1"],
        labels={"team": "onco"},
        flavor=modelkeep.Flavor("sklearn", version=sklearn.__version__),
        note=f"a forest of {params['n_estimators']} trees",
    )
    story.step(
        f"version {version.number}: {params['n_estimators']} trees, auc "
        f"{version.metrics['auc']:.3f}, trained on {version.inputs[0].version}",
        right=version.number == number and version.inputs[0].role == "trained-on",
    )
    return version


if __name__ == "__main__":
    main()
