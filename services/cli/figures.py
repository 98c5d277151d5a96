"""The figures that a command is asked for, as files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from services.common.drawing import check_figure_path, save
from services.common.errors import InvalidRequest, violation
from services.common.layers import LayerList

if TYPE_CHECKING:
    from services.hw_oracle.types import ChipConfig, CostReport


@dataclass(kw_only=True)
class FigureFiles:
    """Where each figure goes; of several networks each gets files of its own, with its name in theirs."""

    timeline: Path | None
    floorplan: Path | None
    _taken: set[Path] = field(default_factory=set)

    def __bool__(self) -> bool:
        return self.timeline is not None or self.floorplan is not None

    def check(self, chip: ChipConfig) -> None:
        """Check, before any work is done, that all can be drawn and written.

        Raises
        ------
        InvalidRequest
            Naming the option.
        """
        from services.hw_oracle.types import Placement

        for option, path in (("--timeline", self.timeline), ("--floorplan", self.floorplan)):
            if path is not None:
                check_figure_path(option, path)
        if self.floorplan is not None and chip.placement is Placement.NONE:
            wanted = "a chip that places its tiles; set its placement to shell, say"
            raise InvalidRequest.of(violation("--floorplan", "placement none", wanted))

    def write(
        self, network: LayerList, chip: ChipConfig, report: CostReport, about: str, part: str
    ) -> Iterator[Path]:
        """Draw what was asked for and yield the files; `part` goes in their names where it is not empty."""
        from services.hw_oracle.figure_floorplan import floorplan
        from services.hw_oracle.figure_timeline import timeline
        from services.hw_oracle.worked import work_out

        if not self:
            return
        worked = work_out(network, chip)
        if self.timeline is not None:
            save(timeline(worked, report, about), path := self._own(self.timeline, part))
            yield path
        if self.floorplan is not None:
            save(floorplan(worked, about), path := self._own(self.floorplan, part))
            yield path

    def _own(self, path: Path, part: str) -> Path:
        """Put a network's name in a file's; of equal names the second gets a number."""
        wanted = (
            path.with_stem(f"{path.stem}-{re.sub(r'[^A-Za-z0-9._-]+', '_', part)[:80]}") if part else path
        )
        own, number = wanted, 2
        while own in self._taken:
            own, number = wanted.with_stem(f"{wanted.stem}-{number}"), number + 1
        self._taken.add(own)
        return own
