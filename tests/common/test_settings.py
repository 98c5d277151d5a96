"""The environment decides where services listen, and nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.common.errors import InvalidRequest
from services.common.settings import OracleSettings, SearcherSettings, TrainerSettings, read_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (OracleSettings, TrainerSettings, SearcherSettings):
        for name in cls.model_fields:
            monkeypatch.delenv(cls.model_config["env_prefix"] + name.upper(), raising=False)


def test_services_listen_on_loopback_with_ports_of_their_own() -> None:
    rooms = [read_settings(cls) for cls in (OracleSettings, TrainerSettings, SearcherSettings)]
    assert [(r.host, r.port, r.health_port, r.metrics_port) for r in rooms] == [
        ("127.0.0.1", 50051, 50052, 9101),
        ("127.0.0.1", 50061, 50062, 9102),
        ("127.0.0.1", 50071, 50072, 9103),
    ]


def test_the_environment_sets_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMCNAS_SEARCHER_PORT", "0")
    monkeypatch.setenv("IMCNAS_SEARCHER_ORACLE", "oracle:1")
    monkeypatch.setenv("IMCNAS_SEARCHER_STORE", "/data/studies.db")
    monkeypatch.setenv("IMCNAS_TRAINER_RAY_ADDRESS", "auto")
    searcher = read_settings(SearcherSettings)
    assert (searcher.port, searcher.oracle, searcher.store) == (0, "oracle:1", "/data/studies.db")
    assert read_settings(TrainerSettings).ray_address == "auto"


def test_a_wrong_value_is_refused_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMCNAS_ORACLE_PORT", "many")
    monkeypatch.setenv("IMCNAS_ORACLE_METRICS_PORT", "65536")
    with pytest.raises(InvalidRequest) as caught:
        read_settings(OracleSettings)
    assert [v.field for v in caught.value.violations] == ["IMCNAS_ORACLE_PORT", "IMCNAS_ORACLE_METRICS_PORT"]
    assert "'many'" in str(caught.value)


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings(OracleSettings).port = 1


def test_an_unknown_variable_of_the_room_is_refused_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMCNAS_TRAINER_PROT", "0")
    with pytest.raises(InvalidRequest, match=r"IMCNAS_TRAINER_PROT: .*did you mean IMCNAS_TRAINER_PORT"):
        read_settings(TrainerSettings)
    read_settings(OracleSettings)  # another room's
