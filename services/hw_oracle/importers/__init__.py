"""Networks of other tools -> LayerList: one file a source, which imports what it needs when it is called."""

from services.hw_oracle.importers.mnsim import from_mnsim
from services.hw_oracle.importers.onnx import from_onnx
from services.hw_oracle.importers.torch import from_torch

__all__ = ["from_mnsim", "from_onnx", "from_torch"]
