"""What one sees while networks are trained: a bar and a line a training; a line an epoch in logs."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.trainer.analog_types import ChipDraw
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, Queued

LONGEST_EPOCH_S = 3600.0
"""The time left is told from the epochs of this long."""


class TrainView:
    """Told of what happens to one training after the other, in one thread.

    Parameters
    ----------
    console : Console
    quiet : bool
        Show nothing.
    """

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._draws = console.is_terminal and not console.is_dumb_terminal and not quiet
        self._logs = not self._draws and not quiet
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(20),
            TextColumn("{task.fields[told]}", markup=False), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not self._draws,
            speed_estimate_period=LONGEST_EPOCH_S,
        )  # fmt: skip
        self._task = self._bar.add_task("", told="", visible=False)
        self._title, self._epochs, self._known = "", 0, False

    def begin(self, request: EvaluationRequest) -> None:
        """Begin with a training."""
        self._title = f"{request.candidate}, seed {request.seed}"
        self._epochs, self._known = request.epochs, False
        self._bar.reset(self._task, description=self._title, total=request.epochs, told="", visible=True)

    def cached(self, known: bool) -> None:
        """Hear whether the result is known already."""
        self._known = known

    def queued(self, place: Queued) -> None:
        """Hear how many come first."""
        self.tell(f"waiting, {place.ahead} before it")

    def epoch(self, report: EpochReport) -> None:
        """Hear of an epoch."""
        self._bar.update(self._task, completed=report.epoch)
        if not self._known:
            count = f"epoch {report.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            accuracy = f"accuracy {report.validation_accuracy_frac:.3f}"
            self.tell(f"{count}  loss {report.train_loss_nats:.3f}  {accuracy}")

    def draw(self, chip: ChipDraw) -> None:
        """Hear of a chip that was judged."""
        form = ", exactly" if chip.exact else ""
        self.tell(f"chip {chip.draw + 1}{form}  accuracy {chip.accuracy_frac:.3f}")

    def end(self, report: AccuracyReport) -> None:
        """Hear of a training's end."""
        took = "trained before" if self._known else f"{report.train_s:.1f} s"
        self.say(f"{self._title}: accuracy {report.accuracy_frac:.3f}, {took}")

    def say(self, message: str) -> None:
        """Print a message above the bar."""
        if self._draws or self._logs:
            self._console.print(message, soft_wrap=True, markup=False)

    def tell(self, text: str) -> None:
        """Show what is being done beside the bar, or in a line of a log."""
        self._bar.update(self._task, told=text)
        if self._logs:
            self.say(f"{self._title}  {text}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
