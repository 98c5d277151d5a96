"""Words for people: a layer in a few characters, and what no report holds."""

from __future__ import annotations

from services.common.layers import Concat, Conv2d, LayerList, Linear, Pool2d

NOT_MODELLED = (
    "Not modelled: accuracy (too few ADC bits or noisy cells cost nothing here), programming the weights, "
    "off-chip input and output, leakage while idle, energy of links and of add and multiply units."
)
"""Said below each report."""


def layer_text(network: LayerList, index: int) -> str:
    """Describe a layer: kind, kernel/stride, groups, channels, such as ``conv2d 3x3/2 64→128``."""
    layer, channels = network.layers[index], network.shapes[index].channels
    source = network.shape_of(layer.inputs[0])
    match layer:
        case Conv2d():
            groups = f" g{layer.groups}" if layer.groups > 1 else ""
            return f"{layer.kind} {_window(layer)}{groups} {source.channels}→{channels}"
        case Pool2d():
            return f"{layer.kind} {_window(layer)} {channels}"
        case Linear():
            return f"{layer.kind} {source.elements}→{channels}"
        case Concat():
            return f"{layer.kind} {'+'.join(str(s.channels) for s in network.input_shapes(index)[:3])}" + (
                "+..." if len(layer.inputs) > 3 else ""
            )
        case _:
            return f"{layer.kind} {channels}"


def _window(layer: Conv2d | Pool2d) -> str:
    stride = f"/{layer.stride}" if layer.stride > 1 else ""
    return f"{layer.kernel_size}x{layer.kernel_size}{stride}"
