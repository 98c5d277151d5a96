"""`imcnas serve`: who asks whom."""

from __future__ import annotations

import pytest

from services.cli.serve import Room, searcher_settings
from services.common.errors import InvalidRequest


@pytest.mark.parametrize(
    ("name", "value", "asked"),
    [
        ("IMCNAS_TRAINER_PORT", "51061", "127.0.0.1:51061"),
        ("IMCNAS_TRAINER_HOST", "0.0.0.0", "127.0.0.1:50061"),  # noqa: S104  # every address, so this one
        ("IMCNAS_TRAINER_HOST", "::", "[::1]:50061"),
        ("IMCNAS_SEARCHER_TRAINER", "gpu:7", "gpu:7"),
    ],
)
def test_with_all_three_the_searcher_asks_its_neighbours_unless_told(monkeypatch, name, value, asked):
    monkeypatch.setenv(name, value)
    settings = searcher_settings(Room.ALL)
    assert (settings.trainer, settings.oracle) == (asked, "127.0.0.1:50051")


def test_a_searcher_alone_asks_the_usual_ports(monkeypatch):
    monkeypatch.setenv("IMCNAS_TRAINER_PORT", "51061")
    assert searcher_settings(Room.SEARCHER).trainer == "127.0.0.1:50061"


def test_with_all_three_a_port_that_nobody_knows_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setenv("IMCNAS_ORACLE_PORT", "0")
    with pytest.raises(InvalidRequest, match=r"IMCNAS_ORACLE_PORT: got 0.*IMCNAS_SEARCHER_ORACLE"):
        searcher_settings(Room.ALL)
    monkeypatch.setenv("IMCNAS_SEARCHER_ORACLE", "127.0.0.1:1")
    assert searcher_settings(Room.ALL).oracle == "127.0.0.1:1"
