"""What decides the accuracy of a network on a chip, and what is reported of it. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pstdev

from services.common.errors import InvalidRequest, one_of, violation
from services.trainer.types import AccuracyReport, EvaluationRequest

MAX_DRAWS = 1000
MAX_FINE_TUNE_EPOCHS = 1000

MAX_QUANTISER_BITS = 20
"""Most bits of a quantised column sum: shifted and added up they are still exact in a double."""


class AdcMode(StrEnum):
    """How the range of an ADC is chosen."""

    IDEAL = "ideal"
    """Column sums are read as they are."""
    FIX = "fix"
    """Full scale is the largest sum that a column of the crossbar can have."""
    SCALE = "scale"
    """Full scale follows what the layer puts out: small sums are resolved, large ones clipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogConfig:
    """The part of a chip that decides accuracy. Defaults are MNSIM 2.0's, read from its SimConfig.

    Parameters
    ----------
    rows : int
        Of a crossbar. A layer with more is split, by whole input channels.
    rows_at_once : int
        Rows with a DAC. As in MNSIM, groups of rows that are read in turn count as log2(rows / rows_at_once)
        more bits of the ADC, and are not simulated.
    dac_bits : int
        Bits of an activation that a cycle feeds.
    adc_bits : int
        With the sign.
    adc_mode : AdcMode
    cell_bits : int
        Bits of a weight that a cell holds.
    differential : bool
        A signed weight is the difference of two cells, for each bit slice; else it is held with an offset of
        2**(weight_bits - 1), which is taken off digitally (Shafiee et al., ISAAC, ISCA 2016, section V).
    digital_subtraction : bool
        The columns of a pair are read one by one and subtracted behind the ADC; needs `differential`.
    on_off_ratio : float
        Conductance of a cell's highest level over that of its lowest; may be infinite.
    variation_frac : float
        Standard deviation of a cell's conductance, relative to it, drawn for each cell.
    stuck_off_frac, stuck_on_frac : float
        Share of the cells that keep the lowest or the highest level whatever is written.
    activation_bits, weight_bits : int
        With the sign: 9 bits are the integers from -255 to 255, and 8 bits of magnitude are fed.

    Raises
    ------
    InvalidRequest
        Naming each field at fault.
    """

    rows: int = 256
    rows_at_once: int = 128
    dac_bits: int = 1
    adc_bits: int = 6
    adc_mode: AdcMode = AdcMode.SCALE
    cell_bits: int = 1
    differential: bool = True
    digital_subtraction: bool = False
    on_off_ratio: float = 100.0
    variation_frac: float = 0.01
    stuck_off_frac: float = 0.001
    stuck_on_frac: float = 0.001
    activation_bits: int = 9
    weight_bits: int = 9

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "rows": (1, 65_536), "rows_at_once": (1, 65_536), "dac_bits": (1, 8), "adc_bits": (1, 16),
            "cell_bits": (1, 8), "activation_bits": (2, 12), "weight_bits": (2, 12),
        }  # fmt: skip
        fractions = ("variation_frac", "stuck_off_frac", "stuck_on_frac")
        wrong = [
            violation(f"analog.{name}", got, f"an integer from {low} to {high}")
            for name, (low, high) in limits.items()
            if type(got := getattr(self, name)) is not int or not low <= got <= high
        ]
        wrong += [
            violation(f"analog.{name}", got, "a number from 0 to 1")
            for name in fractions
            if type(got := getattr(self, name)) not in (int, float) or not 0 <= got <= 1
        ]
        wrong += [
            violation(f"analog.{name}", got, "true or false")
            for name in ("differential", "digital_subtraction")
            if type(got := getattr(self, name)) is not bool
        ]
        if type(self.on_off_ratio) not in (int, float) or not self.on_off_ratio >= 1.1:
            wanted = "a number from 1.1, or infinity"
            wrong.append(violation("analog.on_off_ratio", self.on_off_ratio, wanted))
        if self.adc_mode not in list(AdcMode):
            wanted = one_of(AdcMode, str(self.adc_mode))
            wrong.append(violation("analog.adc_mode", self.adc_mode, wanted))
        if not wrong:
            object.__setattr__(self, "adc_mode", AdcMode(self.adc_mode))
            if self.stuck_off_frac + self.stuck_on_frac > 1:
                wanted = f"at most {1 - self.stuck_off_frac:g}, as {self.stuck_off_frac:g} are stuck off"
                wrong.append(violation("analog.stuck_on_frac", self.stuck_on_frac, wanted))
            if self.digital_subtraction and not self.differential:
                fix = "only a differential pair is subtracted"
                wrong.append(violation("analog.digital_subtraction", True, "false", fix))
            if not 2 <= self.quantiser_bits <= MAX_QUANTISER_BITS:
                wanted = f"2 to {MAX_QUANTISER_BITS} bits with log2(rows / rows_at_once)"
                wrong.append(violation("analog.adc_bits", self.adc_bits, wanted))
        if wrong:
            raise InvalidRequest.of(*wrong)

    @property
    def quantiser_bits(self) -> int:
        """Bits that a column sum of all rows is quantised to, with the sign: MNSIM 2.0's quantize_bit."""
        return self.adc_bits + math.ceil(math.log2(max(1, self.rows / self.rows_at_once)))

    @property
    def fixed_step(self) -> float:
        """Distance of two readings with `AdcMode.FIX`; at most 1 tells all sums of ideal cells apart."""
        largest = ((1 << self.dac_bits) - 1) * self.top_level * self.rows
        return largest / (1 << self.quantiser_bits - 1)

    @property
    def top_activation(self) -> int:
        """Largest integer that an activation is quantised to."""
        return (1 << self.activation_bits - 1) - 1

    @property
    def top_weight(self) -> int:
        """Largest integer that a weight is quantised to."""
        return (1 << self.weight_bits - 1) - 1

    @property
    def top_level(self) -> int:
        """Highest level of a cell, the lowest being 0."""
        return (1 << self.cell_bits) - 1

    @property
    def cycles(self) -> int:
        """Cycles in which an activation's magnitude is fed."""
        return math.ceil((self.activation_bits - 1) / self.dac_bits)

    @property
    def slices(self) -> int:
        """Cells in which a weight is held, of one polarity."""
        return math.ceil((self.weight_bits - self.differential) / self.cell_bits)

    @property
    def leak(self) -> float:
        """Conductance of a cell's lowest level, in steps between levels."""
        return self.top_level / (self.on_off_ratio - 1)

    @property
    def random(self) -> bool:
        """Whether two chips differ."""
        return max(self.variation_frac, self.stuck_off_frac, self.stuck_on_frac) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipAccuracy:
    """Accuracy on chips drawn one after the other.

    Parameters
    ----------
    draws_frac : tuple of float
        Share of the images that each chip classifies right.
    """

    draws_frac: tuple[float, ...]

    @property
    def mean_frac(self) -> float:
        """Mean over the chips."""
        return fmean(self.draws_frac)

    @property
    def deviation_frac(self) -> float:
        """Standard deviation over the chips (divided by their number)."""
        return pstdev(self.draws_frac)

    @property
    def worst_frac(self) -> float:
        """Accuracy of the worst chip."""
        return min(self.draws_frac)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedError:
    """How far the folded form is from the exact one, on the chips and images of the exact one.

    Parameters
    ----------
    accuracy_frac : float
        Mean over the chips of folded minus exact accuracy.
    agreement_frac : float
        Share of the images that both put into one class.
    score_frac : float
        Root mean square of the scores' difference over that of the exact scores, each image's mean taken off.
    """

    accuracy_frac: float
    agreement_frac: float
    score_frac: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogReport:
    """Accuracy of one trained network, in float, quantised, and on chips.

    Parameters
    ----------
    float_frac, quantised_frac : float
        Share of the images that the float network and the integer network classify right.
    folded : ChipAccuracy
    exact : ChipAccuracy or None
        Of the first draws, as many as were asked for.
    folded_error : FoldedError or None
        None where nothing was computed exactly.
    images : int
        Validation images that every share is of.
    config : AnalogConfig
    seed : int
    """

    float_frac: float
    quantised_frac: float
    folded: ChipAccuracy
    exact: ChipAccuracy | None
    folded_error: FoldedError | None
    images: int
    config: AnalogConfig
    seed: int

    def chips(self) -> tuple[ChipDraw, ...]:
        """Give each chip, in the order in which they were judged."""
        return tuple(
            ChipDraw(draw=draw, exact=accuracy is self.exact, accuracy_frac=share)
            for accuracy in (self.folded, self.exact)
            if accuracy is not None
            for draw, share in enumerate(accuracy.draws_frac)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipDraw:
    """One chip was judged; folded unless `exact`."""

    draw: int
    exact: bool
    accuracy_frac: float


def check_chips(
    draws: int, seed: int, exact_draws: int, images: int | None, fine_tune_epochs: int = 0
) -> None:
    """Raise InvalidRequest unless these are in the ranges that OnChipRequest tells."""
    limits = {
        "draws": (draws, 1, MAX_DRAWS),
        "seed": (seed, 0, 2**63 - 1),
        "exact_draws": (exact_draws, 0, draws),
        "images": (1 if images is None else images, 1, 2**63 - 1),
        "fine_tune_epochs": (fine_tune_epochs, 0, MAX_FINE_TUNE_EPOCHS),
    }
    wrong = [
        violation(name, got, f"an integer from {low} to {high}")
        for name, (got, low, high) in limits.items()
        if type(got) is not int or not low <= got <= high
    ]
    if wrong:
        raise InvalidRequest.of(*wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChipRequest:
    """One candidate to judge on chips.

    Parameters
    ----------
    evaluation : EvaluationRequest
        How it is trained; its `request_id` names all of this, its weights are kept.
    analog : AnalogConfig
    draws : int
        Chips drawn, 1 to 1000, computed in the folded form.
    seed : int
        Decides the chips, 0 <= seed < 2**63.
    exact_draws : int
        How many of these chips, the first ones, are computed exactly, too; of chips that do not differ, one.
    images : int, optional
        Validation images, spread evenly over all of them; None takes all.
    fine_tune_epochs : int
        Epochs of training to bear the chip, before it is judged; 0 leaves the network as it was trained.

    Raises
    ------
    InvalidRequest
        Naming each field at fault.
    """

    evaluation: EvaluationRequest
    analog: AnalogConfig = AnalogConfig()
    draws: int = 5
    seed: int = 0
    exact_draws: int = 0
    images: int | None = None
    fine_tune_epochs: int = 0

    def __post_init__(self) -> None:
        check_chips(self.draws, self.seed, self.exact_draws, self.images, self.fine_tune_epochs)

    @property
    def request_id(self) -> str:
        """Of the evaluation, and so of all of this."""
        return self.evaluation.request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChipReport:
    """Accuracy of a candidate as it was trained, and on chips.

    Parameters
    ----------
    accuracy : AccuracyReport
        Of the training.
    analog : AnalogReport
        Of the chips, after fine-tuning if that was asked for.
    """

    accuracy: AccuracyReport
    analog: AnalogReport
