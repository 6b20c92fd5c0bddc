"""Progress bars with rate and time left; loaded only where there is a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from modelkeep import Progress
from modelkeep.cli import output
from modelkeep.cli.progress import amount, duration


class _Speed(ProgressColumn):
    """Rate and time left, where the phase is counted in bytes."""

    def render(self, task: Task) -> Text:
        """Write them."""
        rate = task.speed or 0
        if task.finished or not rate or not task.fields["in_bytes"]:
            return Text("")
        left = "" if task.time_remaining is None else f", {duration(task.time_remaining)} left"
        return Text(f"{output.size(rate)}/s{left}")


class Bars:
    """A bar for each phase, gone when all is done."""

    def __init__(self) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description:>11}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}"),
            _Speed(),
            console=Console(stderr=True),
            transient=True,
        )
        self._phase = ""
        self._task = TaskID(0)
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._started:
            self._bars.stop()

    def tell(self, now: Progress) -> None:
        """Move the bar."""
        if not self._started:
            self._bars.start()
            self._started = True
        in_bytes = bool(now.total_bytes)
        total = now.total_bytes or now.total_files or None
        done = now.done_bytes if in_bytes else now.done_files
        if now.phase != self._phase:
            self._phase = now.phase
            self._task = self._bars.add_task(now.phase, total=total, amount="", in_bytes=in_bytes)
        self._bars.update(
            self._task, completed=done, total=total, amount=amount(now), in_bytes=in_bytes
        )
