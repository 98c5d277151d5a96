"""The oracle's messages <-> its values.

Beside the common converter, networks and totals have faster ones of their own: they are what a busy oracle's
time goes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from services.common.convert import from_pb, to_pb
from services.common.errors import (
    ErrorReport,
    ImcnasError,
    InvalidCandidate,
    InvalidRequest,
    Violation,
    check_type,
    error_of,
    error_report,
    missing,
    one_of,
    violation,
)
from services.common.layers import MAX_LAYERS, Bits, LayerList, Shape
from services.common.pb.imcnas.v1 import candidate_pb2, error_pb2, network_pb2
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.space import SearchSpace
from services.hw_oracle.types import CANDIDATE_COLUMNS, CandidateCosts, ChipConfig, CostReport, Detail
from services.hw_oracle.version import MODEL_VERSION

if TYPE_CHECKING:  # what a client has no use for, and may not have
    from services.hw_oracle.candidates import NumberedCandidates

MAX_NETWORKS = 1000
"""Most networks of one BatchEvaluate."""

MAX_CANDIDATES = 10_000
"""Most candidates of one EvaluateCandidates."""

MAX_NETWORK_BYTES = 4 * 2**20
"""More than any network has: 4096 layers of 64 inputs, each in ten bytes, take 3 MB."""

MAX_CHIP_BYTES = 4096
"""More than any chip has; what is more, unknown fields perhaps, is not kept."""

MAX_BATCH_BYTES = 4 * 2**20
"""Bytes of networks that a client sends at a time."""

MAX_BATCH_LAYERS = 16_000
"""Layers that a client sends at a time: of so many even the fullest reports fit into one message."""

_TOTALS = ("latency_ns", "area_um2", "power_w", "energy_nj", "tiles", "pes", "crossbars")
_DETAILS: dict[Detail, Any] = {detail: number for number, detail in enumerate(Detail, 1)}
_NUMBERED: dict[int, Detail] = {0: Detail.MODULES} | {number: detail for detail, number in _DETAILS.items()}


def chip_fields(chip: ChipConfig | str) -> dict[str, Any]:
    """Fields of a request that name a preset or hold a chip."""
    check_type("chip", chip, str, ChipConfig)
    return {"preset": chip} if isinstance(chip, str) else {"config": to_pb(chip, pb.ChipConfig)}


def _network(network: LayerList) -> network_pb2.LayerList:
    check_type("layers", network, LayerList)
    return to_pb(network, network_pb2.LayerList)


def evaluate_to_pb(
    layers: LayerList, chip: ChipConfig | str, detail: Detail
) -> pb.HwOracleServiceEvaluateRequest:
    """Make the request that evaluates a network."""
    network = _network(layers)
    return pb.HwOracleServiceEvaluateRequest(network=network, detail=_DETAILS[detail], **chip_fields(chip))


def batches_to_pb(
    networks: Sequence[LayerList], chip: ChipConfig | str, detail: Detail
) -> Iterator[pb.HwOracleServiceBatchEvaluateRequest]:
    """Make the requests that evaluate networks, each small enough to be sent and to be answered."""
    fields = {"detail": _DETAILS[detail], **chip_fields(chip)}
    batch: list[network_pb2.LayerList] = []
    size = layers = 0
    for network in networks:
        message = _network(network)
        size, layers = size + message.ByteSize(), layers + len(message.layers)
        if batch and (len(batch) == MAX_NETWORKS or size > MAX_BATCH_BYTES or layers > MAX_BATCH_LAYERS):
            yield pb.HwOracleServiceBatchEvaluateRequest(networks=batch, **fields)
            batch, size, layers = [], message.ByteSize(), len(message.layers)
        batch.append(message)
    if batch:
        yield pb.HwOracleServiceBatchEvaluateRequest(networks=batch, **fields)


def stream_to_pb(
    network: LayerList, chip: ChipConfig | str | None, detail: Detail
) -> pb.HwOracleServiceEvaluateStreamRequest:
    """Make one request of a stream; one without a chip goes on with that of the request before."""
    fields = {} if chip is None else chip_fields(chip)
    return pb.HwOracleServiceEvaluateStreamRequest(
        network=_network(network), detail=_DETAILS[detail], **fields
    )


def validate_to_pb(layers: LayerList, chip: ChipConfig | str) -> pb.HwOracleServiceValidateRequest:
    """Make the request that checks a network on a chip."""
    network = _network(layers)
    return pb.HwOracleServiceValidateRequest(network=network, **chip_fields(chip))


def candidates_to_pb(
    space: SearchSpace,
    depths: Sequence[int],
    choices: Sequence[int],
    input_shape: Shape,
    classes: int,
    chip: ChipConfig | str,
    bits: Bits,
) -> Iterator[pb.HwOracleServiceEvaluateCandidatesRequest]:
    """Make the requests that evaluate candidates, none with more than the service takes."""
    fields = {
        "space": to_pb(space, candidate_pb2.SearchSpace),
        "input_shape": to_pb(input_shape, network_pb2.Shape),
        "classes": classes,
        "bits": to_pb(bits, network_pb2.Bits),
        **chip_fields(chip),
    }
    begin = 0
    for first in range(0, max(1, len(depths)), MAX_CANDIDATES):
        own = depths[first : first + MAX_CANDIDATES]
        end = begin + sum(own)
        yield pb.HwOracleServiceEvaluateCandidatesRequest(depths=own, choices=choices[begin:end], **fields)
        begin = end


def chip_from_pb(request: Any) -> ChipConfig | str:
    """Read the chip of a request, or the name of a preset."""
    match request.WhichOneof("chip"):
        case "preset":
            return str(request.preset)
        case "config":
            config = request.config.SerializeToString(deterministic=True)
            return (_config if len(config) <= MAX_CHIP_BYTES else _config.__wrapped__)(config)
        case _:
            raise InvalidRequest.of(missing("chip", "preset or config"))


@lru_cache(maxsize=64)
def _config(config: bytes) -> ChipConfig:
    return from_pb(pb.ChipConfig.FromString(config), ChipConfig, "chip")


def detail_from_pb(number: int) -> Detail:
    """Read how much of a report is wanted: all of it, unless told."""
    if number not in _NUMBERED:
        wanted = one_of(f"DETAIL_{detail.name}" for detail in Detail)
        raise InvalidRequest.of(violation("detail", number, wanted))
    return _NUMBERED[number]


def bodies_of(networks: Sequence[network_pb2.LayerList]) -> tuple[list[bytes], int]:
    """Give each network's bytes, none for one that is too long to be any, and the layers of the longest."""
    sizes = [len(network.layers) for network in networks]
    bodies = (
        network.SerializeToString() if size <= MAX_LAYERS else b""
        for network, size in zip(networks, sizes, strict=True)
    )
    sound = [body if len(body) <= MAX_NETWORK_BYTES else b"" for body in bodies]
    return sound, min(MAX_LAYERS, max(sizes, default=0))


def report_to_pb(report: CostReport) -> pb.CostReport:
    """Make the message of a report."""
    if report.layers:
        return to_pb(report, pb.CostReport)
    totals = {name: getattr(report, name) for name in _TOTALS}
    return pb.CostReport(model_version=report.model_version, chip_hash=report.chip_hash, **totals)


def totals_to_pb(totals: Mapping[str, Any], of_chip: str) -> pb.CostReport:
    """Make the message of a report of detail `TOTALS`, on the chip of that hash."""
    own = {name: totals[name] for name in _TOTALS}
    return pb.CostReport(model_version=MODEL_VERSION, chip_hash=of_chip, **own)


def error_to_pb(error: ImcnasError) -> error_pb2.ErrorReport:
    """Make the message of an error."""
    return to_pb(error_report(error), error_pb2.ErrorReport)


def result_from_pb(result: pb.EvaluationResult) -> CostReport | ImcnasError:
    """Read what became of a network."""
    if result.WhichOneof("result") == "error":
        return error_of(from_pb(result.error, ErrorReport))
    return from_pb(result.report, CostReport)


def candidates_from_pb(
    request: pb.HwOracleServiceEvaluateCandidatesRequest, chip: ChipConfig
) -> NumberedCandidates:
    """Read the candidates of a request."""
    import numpy as np

    from services.hw_oracle.candidates import NumberedCandidates

    if not request.HasField("classes"):
        raise InvalidRequest.of(missing("classes"))
    return NumberedCandidates(
        space=_space(request.space),
        input_shape=from_pb(request.input_shape, Shape, "input_shape"),
        classes=request.classes,
        bits=from_pb(request.bits, Bits, "bits"),
        chip=chip,
        depths=np.array(request.depths, np.int64),
        choices=np.array(request.choices, np.int64),
    )


def _space(space: candidate_pb2.SearchSpace) -> SearchSpace:
    try:
        return from_pb(space, SearchSpace, "space")
    except InvalidCandidate as error:  # it knows not where it is
        wrong = (Violation(f"space.{v.field}", v.description) for v in error.violations)
        raise InvalidCandidate.of(*wrong) from None


def add_costs(costs: pb.CandidateCosts, part: CandidateCosts) -> None:
    """Add the costs of further candidates to a message."""
    first = len(costs.latency_ns)
    costs.model_version, costs.chip_hash = part.model_version, part.chip_hash
    for name in CANDIDATE_COLUMNS:
        getattr(costs, name).extend(getattr(part, name))
    for error in part.errors:
        costs.errors.add(index=first + error.index, error=to_pb(error.error, error_pb2.ErrorReport))
