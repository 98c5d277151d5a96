"""What one sees while a search runs: a live panel on a terminal, a line a trial elsewhere."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.json_rows import trial_row
from services.common.units import format_energy, format_latency
from services.searcher.events import (
    EpochDone,
    Event,
    SearchFinished,
    SearchStarted,
    TrialFinished,
    TrialStarted,
)
from services.searcher.objective import parse_objective
from services.searcher.ranking import best_trial, front_of, trial_front
from services.searcher.types import StudyConfig, Trial, TrialState

FRONT_SHOWN = 5
"""Networks of the front, the most accurate ones, that there is room for."""


class View(Protocol):
    """Told of every event of one search, in one thread."""

    def __call__(self, event: Event) -> None:
        """Show the event."""

    def say(self, message: str) -> None:
        """Show a message of ours."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""


def make_view(console: Console, quiet: bool, as_json: bool = False) -> View:
    """Choose the view that suits where the output goes."""
    if as_json:
        return JsonView()
    if quiet:
        return _Progress()
    drawable = console.is_terminal and not console.is_dumb_terminal
    return LiveView(console) if drawable else LineView(console)


def result_line(trial: Trial) -> str:
    """Tell a trial in one line."""
    if trial.state is TrialState.FAILED or trial.accuracy is None:
        return f"{trial.candidate}  failed: {trial.failure}"
    cost = f"{format_latency(trial.cost.latency_ns)}  {format_energy(trial.cost.energy_nj)}"
    return f"{trial.candidate}  accuracy {trial.accuracy_frac:.3f}  {cost}"


class _Progress:
    """The state that every view shows; a silent view by itself."""

    def __init__(self) -> None:
        self.trials: dict[int, Trial] = {}
        self.running: dict[int, tuple[Trial, int]] = {}
        self.wanted = self.epochs = 0
        self.unit = ""
        self.config: StudyConfig | None = None
        self._front: tuple[Trial, ...] | None = None
        self.finished_before = 0
        self.started = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case SearchStarted():
                self.config = event.config
                self.wanted, self.unit = event.trials_wanted, parse_objective(event.config.objective).unit
                self.epochs = event.config.recipe.epochs
                self.trials = {t.number: t for t in event.trials if t.state is not TrialState.RUNNING}
                self.finished_before = len(self.trials)
                self.started = time.monotonic()
            case TrialStarted():
                self.running[event.trial.number] = (event.trial, 0)
            case EpochDone():
                if event.number in self.running:
                    self.running[event.number] = (self.running[event.number][0], event.report.epoch)
            case TrialFinished():
                self.running.pop(event.trial.number, None)
                self.trials[event.trial.number] = event.trial
                self._front = None
            case SearchFinished():
                pass
        self.show(event)

    def show(self, event: Event) -> None:
        """Show the state after `event`."""

    def say(self, message: str) -> None:
        """Show a message of ours."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def best(self) -> Trial | None:
        return best_trial(list(self.trials.values()))

    def best_text(self) -> str:
        best = self.best()
        if best is None or best.fitness is None:
            return "none yet"
        return f"{best.fitness:.4g} {self.unit}  {result_line(best)}"

    def pace_s(self) -> float | None:
        """Mean time of a trial in this run, once one has finished in it."""
        done = len(self.trials) - self.finished_before
        return (time.monotonic() - self.started) / done if done else None

    def left_s(self) -> float | None:
        """Time left at that pace."""
        pace_s = self.pace_s()
        return None if pace_s is None else pace_s * max(0, self.wanted - len(self.trials))

    def pace_text(self) -> str:
        """Time gone and left, and the trials an hour."""
        pace_s, left_s = self.pace_s(), self.left_s()
        gone = f"{clock(time.monotonic() - self.started)} gone"
        if pace_s is None or left_s is None:
            return gone
        return f"{gone}, {clock(left_s)} left, {3600 / max(pace_s, 1e-3):,.0f} trials/h"

    def front_text(self) -> str:
        """Name the front, in short."""
        if self.config is None:
            return ""
        if self._front is None:  # drawn far more often than it changes
            self._front = trial_front(self.config, list(self.trials.values()))
        front = self._front
        shown = ", ".join(str(trial.candidate) for trial in front[-FRONT_SHOWN:])
        of = ", ".join(front_of(self.config).front)
        return f"{len(front)} of {of}: {'..., ' * (len(front) > FRONT_SHOWN)}{shown}" if front else "none yet"


def clock(seconds: float) -> str:
    """Write a duration as 1:02:03 or 02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class JsonView(_Progress):
    """One JSON object an event, on standard output: for programs."""

    def show(self, event: Event) -> None:
        """Print what began, and what ended."""
        match event:
            case SearchStarted():
                self._tell("started", study=event.config.name, trials_wanted=event.trials_wanted)
            case TrialStarted():
                self._tell("trial started", **trial_row(event.trial))
            case TrialFinished():
                best = self.best()
                ahead = {"best_trial": best.number if best else None, "left_s": self.left_s()}
                self._tell("trial finished", **trial_row(event.trial), finished=len(self.trials), **ahead)

    def say(self, message: str) -> None:
        """Tell a message."""
        self._tell("message", text=message)

    def _tell(self, event: str, **values: object) -> None:
        print(json.dumps({"event": event} | values, allow_nan=False), flush=True)


class LineView(_Progress):
    """One line a finished trial: for logs, pipes and jobs."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def show(self, event: Event) -> None:
        """Print a line for a finished trial."""
        if isinstance(event, SearchStarted) and self.finished_before:
            self.say(f"resuming: {self.finished_before} of {self.wanted} trials are there")
        if isinstance(event, TrialFinished):
            star = " *" if self.best() is event.trial else ""
            count = f"[{len(self.trials)}/{self.wanted}]"
            self.say(f"{count} {clock(time.monotonic() - self.started)} {result_line(event.trial)}{star}")

    def say(self, message: str) -> None:
        """Print a message."""
        self._console.print(message, soft_wrap=True, markup=False)


class LiveView(_Progress):
    """A panel that is drawn anew: progress, best, what is in flight, the last results."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._messages: list[str] = []
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def say(self, message: str) -> None:
        """Show a message below the panel until the next."""
        self._messages = [message]

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        trials = list(self.trials.values())  # the loop adds to it meanwhile
        failed = sum(t.state is TrialState.FAILED for t in trials)
        skipped = sum(t.infeasible_proposals + t.duplicate_proposals for t in trials)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=max(1, self.wanted), completed=len(trials), width=30),
            f"{len(trials)}/{self.wanted} trials",
            self.pace_text(),
            f"{failed} failed" if failed else "",
            f"{skipped} proposals skipped (duplicates, or over a limit)" if skipped else "",
        )
        body = Table.grid(padding=(0, 2))
        body.add_row(Text("best", style="bold"), Text(self.best_text(), style="bold green"))
        body.add_row(Text("front", style="bold"), Text(self.front_text()))
        for number, (trial, epoch) in sorted(dict(self.running).items()):
            bar = ProgressBar(total=max(1, self.epochs), completed=epoch, width=16)
            row = Table.grid(padding=(0, 1))
            row.add_row(bar, f"epoch {epoch}/{self.epochs}", str(trial.candidate))
            body.add_row(f"#{number}", row)
        latest = sorted(trials, key=lambda t: t.finished_at)[-5:]
        for trial in reversed(latest):
            body.add_row(Text(f"#{trial.number}", style="dim"), Text(result_line(trial), style="dim"))
        return Group(head, body, *(Text(m, style="yellow") for m in self._messages))
