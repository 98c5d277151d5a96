"""How a layer's integer weights lie on crossbars: polarities, bit slices, and splits of the rows.

As MNSIM 2.0's Interface/quantize.py: a convolution is split by whole input channels, a linear layer, whose
kernel is 1, by rows. Columns need no split here: they are read one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.errors import InvalidRequest, violation
from services.trainer.analog_types import AnalogConfig

Integers = npt.NDArray[np.int16]


def channel_splits(weights: npt.NDArray[np.signedinteger[Any]], config: AnalogConfig) -> list[slice]:
    """Give the input channels of each split, as many as a crossbar's rows hold with their whole windows.

    Parameters
    ----------
    weights : ndarray, out x in x kernel x kernel
    config : AnalogConfig

    Raises
    ------
    InvalidRequest
        Not one channel's window fits.
    """
    channels, kernel = weights.shape[1:3]
    held = config.rows // kernel**2
    if not held:
        wanted = f"at least the {kernel**2} rows of a {kernel}x{kernel} kernel"
        raise InvalidRequest.of(violation("analog.rows", config.rows, wanted))
    return [slice(first, min(first + held, channels)) for first in range(0, channels, held)]


def polarities(weights: Integers, config: AnalogConfig) -> Integers:
    """Give the integers, none negative, that the arrays of each polarity hold.

    Returns
    -------
    ndarray of int16, polarities x shape of `weights`
        Two of a differential pair: positive and negative parts. One otherwise, of the weights with an offset.
    """
    if config.differential:
        return np.stack([np.maximum(weights, 0), np.maximum(-weights, 0)])
    return (weights + offset(config))[None].astype(np.int16)


def offset(config: AnalogConfig) -> int:
    """Give what is added to a weight that is held without a pair."""
    return 0 if config.differential else 2 ** (config.weight_bits - 1)


def levels(held: Integers, config: AnalogConfig) -> Integers:
    """Cut integers into the levels of cells, lowest bits first.

    Returns
    -------
    ndarray of int16, slices x shape of `held`
        From 0 to `config.top_level`; sum(2**(j * cell_bits) * levels[j]) is `held`.
    """
    shifts = np.arange(config.slices, dtype=np.int16) * config.cell_bits
    return (held >> shifts.reshape(-1, *[1] * held.ndim)) & np.int16(config.top_level)


def read_signs(config: AnalogConfig) -> tuple[int, ...]:
    """Give the signs with which the reads of a bit slice are added up: two of a pair read one by one."""
    return (1, -1) if config.digital_subtraction else (1,)


def reads(arrays: npt.NDArray[np.generic], config: AnalogConfig) -> npt.NDArray[np.generic]:
    """Join what an ADC sees at once: of a pair subtracted before it, the difference.

    Parameters
    ----------
    arrays : ndarray, polarities x any shape

    Returns
    -------
    ndarray, reads x any shape
    """
    if config.differential and not config.digital_subtraction:
        return arrays[:1] - arrays[1:]  # type: ignore[operator]
    return arrays
