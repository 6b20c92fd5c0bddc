"""A row of the table: a figure, what it is held against, and how near it should come."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class CannotMeasureError(Exception):
    """What a row needs isn't to be had here; the text says what and why."""


@dataclass(slots=True)
class Row:
    """A figure over its base, by rounds; or, without a base, a figure that has a limit.

    Attributes:
        what: What is measured.
        of: What it is held against.
        unit: The figure's.
        aim: What the median of figure over base should reach; of a limit, what it should not pass.
        figure: Measures once.
        base: Measures once what the figure is held against, or nothing for a limit.
        rounds: How often at most.
        why_not: Why it can't be measured here, or empty.
    """

    what: str
    of: str
    unit: str
    aim: float
    figure: Callable[[], float]
    base: Callable[[], float] | None = None
    rounds: int = 7
    figures: list[float] = field(default_factory=list)
    bases: list[float] = field(default_factory=list)
    why_not: str = ""

    def measure(self, number: int) -> None:
        """Do a round, or learn why that can't be done here."""
        try:
            self._measure(number)
        except CannotMeasureError as error:
            self.why_not = str(error)
            self.figures.clear()  # without their base they say nothing
            self.bases.clear()

    def _measure(self, number: int) -> None:
        """Do a round: in every other one the base goes first."""
        if self.base is not None and number % 2:
            self.bases.append(self.base())
        self.figures.append(self.figure())
        if self.base is not None and not number % 2:
            self.bases.append(self.base())

    @property
    def results(self) -> list[float]:
        """What is held against the aim, of each round."""
        if self.base is None:
            return self.figures
        return [figure / base for figure, base in zip(self.figures, self.bases, strict=True)]

    @property
    def result(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.results)

    @property
    def missed(self) -> bool:
        """Whether the median is above a limit, even the best round below a ratio, or none was."""
        if self.why_not:
            return True
        if self.base is None:
            return self.result > self.aim
        return max(self.results) < self.aim


def measure(rows: list[Row], rounds: int) -> Iterator[tuple[int, Row]]:
    """Measure every row once a round, so that all meet the same machine; tell which is next."""
    for number in range(rounds):
        for row in rows:
            if number < row.rounds and not row.why_not:
                yield number, row
                row.measure(number)
