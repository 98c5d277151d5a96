"""LayerList <-> JSON, and the canonical key of a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from itertools import islice
from typing import Any, TypeVar

from services.common.errors import MAX_VIOLATIONS, InvalidNetwork, Violation, missing, one_of, violation
from services.common.layers import LAYER_KINDS, Bits, Layer, LayerList, PoolMode, Shape

T = TypeVar("T")

VERSION = 1
"""Version of the JSON form; a reader refuses another."""


def network_to_json(network: LayerList) -> dict[str, Any]:
    """Make the JSON object of a network; fields at their defaults are written too."""
    return {
        "version": VERSION,
        "input_shape": _values(network.input_shape),
        "layers": [{"kind": layer.kind, **_values(layer)} for layer in network.layers],
    }


def network_from_json(obj: object) -> LayerList:
    """Read a network from its JSON object.

    Raises
    ------
    InvalidNetwork
        On a wrong version, kind, field or type, by path; then as LayerList does.
    """
    root = _mapping("network", obj, ("version", "input_shape", "layers"))
    if root["version"] != VERSION:
        raise InvalidNetwork.of(violation("version", root["version"], str(VERSION)))
    if not isinstance(root["layers"], list):
        raise InvalidNetwork.of(violation("layers", root["layers"], "a list of layers"))
    shape = _record(Shape, "input_shape", root["input_shape"])
    layers = tuple(_layer(f"layers[{i}]", item) for i, item in enumerate(root["layers"]))
    return LayerList(input_shape=shape, layers=layers)


def network_key(network: LayerList) -> str:
    """Name a network by its content: SHA-256 of its canonical JSON, 64 hexadecimal digits.

    Two configurations that make the same layers have the same key.
    """
    text = json.dumps(network_to_json(network), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _values(owner: Any) -> dict[str, Any]:
    return {
        f.name: _values(value) if isinstance(value := getattr(owner, f.name), Bits) else value
        for f in fields(owner)
    }


def _layer(path: str, obj: object) -> Layer:
    if not isinstance(obj, Mapping):
        raise InvalidNetwork.of(violation(path, obj, "an object with a kind"))
    kind = obj.get("kind")
    if not isinstance(kind, str) or kind not in LAYER_KINDS:
        raise InvalidNetwork.of(violation(f"{path}.kind", kind, one_of(LAYER_KINDS, str(kind))))
    return _record(LAYER_KINDS[kind], f"{path}.{kind}", {k: v for k, v in obj.items() if k != "kind"})


def _record(cls: type[T], path: str, obj: object) -> T:
    """Build a flat dataclass from an object of the same names; values are checked by LayerList."""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]  # always a dataclass
    needed = [n for n, f in known.items() if f.default is MISSING]
    values: dict[str, Any] = dict(_mapping(path, obj, needed, known))
    if "bits" in values:
        values["bits"] = _record(Bits, f"{path}.bits", values["bits"])
    if "inputs" in values:
        if not isinstance(values["inputs"], list):
            raise InvalidNetwork.of(violation(f"{path}.inputs", values["inputs"], "a list of indices"))
        values["inputs"] = tuple(values["inputs"])
    if "mode" in values:
        if values["mode"] not in list(PoolMode):
            raise InvalidNetwork.of(violation(f"{path}.mode", values["mode"], one_of(PoolMode)))
        values["mode"] = PoolMode(values["mode"])
    return cls(**values)


def _mapping(
    path: str, obj: object, needed: list[str] | tuple[str, ...], known: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    if not isinstance(obj, Mapping):
        raise InvalidNetwork.of(violation(path, obj, "an object"))
    allowed = list(needed if known is None else known)
    wrong = [missing(f"{path}.{n}") for n in needed if n not in obj]
    wrong += [
        Violation(f"{path}.{n}", f"unknown field, wanted {one_of(allowed, str(n))}")
        for n in islice((n for n in obj if n not in allowed), MAX_VIOLATIONS)
    ]
    if wrong:
        raise InvalidNetwork.of(*wrong)
    return obj
