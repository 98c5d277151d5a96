"""What the figures hold, and that they are files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from services.common.candidate import candidate_layers, parse_candidate
from services.common.drawing import PALE, check_figure_path, save, short
from services.common.errors import InvalidRequest, NotPossible
from services.common.layers import Conv2d, LayerList, Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import derive
from services.hw_oracle.figure_floorplan import floorplan
from services.hw_oracle.figure_sweep import sweep_figure
from services.hw_oracle.figure_timeline import timeline
from services.hw_oracle.placement import positions
from services.hw_oracle.sweep import read_settings, sweep
from services.hw_oracle.types import ChipConfig, Pipeline, Placement
from services.hw_oracle.worked import critical_path, work_out

CHIP = ChipConfig()
NETWORK = candidate_layers(parse_candidate("VGG16-RES32"), Shape(channels=1, height=8, width=8), 10)


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("pipeline", Pipeline)
def test_the_timeline_has_a_bar_from_begin_to_finish_of_every_layer(pipeline: Pipeline):
    chip = replace(CHIP, pipeline=pipeline)
    report, worked = evaluate(NETWORK, chip), work_out(NETWORK, chip)
    (axes,) = timeline(worked, report, "n").axes
    spans, busy = axes.containers
    unit = report.latency_ns / axes.get_xlim()[1] * 1.07
    for bars in (spans, busy):
        assert [bar.get_x() * unit for bar in bars] == pytest.approx([x.begin_ns for x in report.layers])
        ends = [(bar.get_x() + bar.get_width()) * unit for bar in bars]
        assert ends == pytest.approx([x.finish_ns for x in report.layers])
    shares = [inner.get_height() / outer.get_height() for inner, outer in zip(busy, spans, strict=True)]
    assert shares == pytest.approx([x.occupancy_frac for x in report.layers])
    colours = [bar.get_facecolor() for bar in busy]
    slowest = derive(NETWORK, chip, report).bottleneck_layer
    assert [i for i, colour in enumerate(colours) if colours.count(colour) == 1] == [slowest]
    (path,) = axes.lines
    assert path.get_xdata()[-1] * unit == pytest.approx(report.latency_ns)
    assert set(path.get_ydata()) == {part.layer for part in critical_path(worked)}


def test_a_timeline_of_very_many_layers_stays_a_page_and_names_only_some():
    layers = tuple(Conv2d(inputs=(i - 1,), out_channels=1, kernel_size=1) for i in range(700))
    network = LayerList(input_shape=Shape(channels=1, height=1, width=1), layers=layers)
    figure = timeline(work_out(network, CHIP), evaluate(network, CHIP), "n")
    assert figure.get_size_inches()[1] < 65
    assert len(figure.axes[0].containers[0]) == 700
    assert len(figure.axes[0].get_yticks()) < 240


def tiles_of(figure: Figure) -> tuple[Any, Any]:
    """Colour of each tile that is drawn, shape (rows, columns, 3), and which are used."""
    (image,) = figure.axes[0].images
    colours = np.array(image.get_array())
    return colours, (colours != to_rgb(PALE)).any(axis=2)


@pytest.mark.parametrize("placement", [p for p in Placement if p is not Placement.NONE])
@pytest.mark.parametrize("grid", [(64, 64), (5, 50), (50, 5)])
def test_the_floor_plan_has_every_tile_where_it_is_placed(placement: Placement, grid: tuple[int, int]):
    chip = replace(CHIP, placement=placement, grid_rows=grid[0], grid_columns=grid[1])
    worked = work_out(NETWORK, chip)
    figure = floorplan(worked, "n")
    _, used = tiles_of(figure)
    cells = positions(chip, worked.mapping.tiles)
    assert used.sum() == evaluate(NETWORK, chip).tiles
    assert used[tuple(cells)].all()
    assert [*used.shape] == [*np.minimum(cells.max(axis=1) + 2, np.array(grid))]
    numbers = [text.get_text() for text in figure.axes[0].texts if text.get_text().isdigit()]
    owners = [str(i) for i, layer in enumerate(worked.mapping.layers) for _ in range(layer.tiles)]
    assert numbers == owners
    rings = next(line for line in figure.axes[0].lines if line.get_label() == "merges here")
    merging = [way.merge_cell for way in worked.ways if way.merge_cell]
    assert [*zip(rings.get_ydata(), rings.get_xdata(), strict=True)] == merging


def test_tiles_of_neighbouring_layers_differ_in_colour_and_the_list_names_each_layer():
    worked = work_out(NETWORK, CHIP)
    figure = floorplan(worked, "n")
    colours = [*map(tuple, tiles_of(figure)[0][tuple(positions(CHIP, worked.mapping.tiles))])]
    first = [layer.first_tile for layer in worked.mapping.layers if layer.tiles]
    assert all(colours[a] != colours[b] for a, b in pairwise(first))
    texts = legend_texts(figure)
    assert "0  conv2d 3x3 1→16 · 2 tiles" in texts
    assert not any(text.startswith("6  add") for text in texts)  # it has no tile


@pytest.mark.parametrize(("rows", "drawn"), [(8, True), (64, False)])
def test_the_accumulator_is_drawn_where_it_lies_in_the_part_in_use_or_else_told(rows: int, drawn: bool):
    figure = floorplan(work_out(NETWORK, replace(CHIP, grid_rows=rows)), "n")
    diamonds = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in diamonds] == [(-0.5, 4.0)] * drawn
    told = any(
        "accumulator ↓ at row 32" in text.get_text().replace("\n", " ") for text in figure.axes[0].texts
    )
    assert told is not drawn


def test_a_chip_that_places_nothing_has_no_floor_plan():
    with pytest.raises(NotPossible, match="placement is none"):
        floorplan(work_out(NETWORK, replace(CHIP, placement=Placement.NONE)), "n")


def test_one_swept_field_is_drawn_as_a_line_a_network_over_its_values():
    settings = read_settings(["crossbar.rows=256,128,512"])
    found = list(sweep([("a", NETWORK), ("b", NETWORK)], CHIP, settings, evaluate))
    figure = sweep_figure(settings, found, [])
    for axes, key in zip(figure.axes, ("latency_ns", "energy_nj", "area_um2", "tops_per_w"), strict=True):
        a, b = axes.lines
        assert [*a.get_xdata()] == [128, 256, 512]
        told = [found[i].totals[key] for i in (1, 0, 2)]
        assert a.get_ydata() / a.get_ydata()[0] == pytest.approx(np.array(told) / told[0])
        assert (a.get_label(), b.get_label()) == (" a", " b")
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["128", "256", "512"]
    assert figure.axes[2].get_xscale() == "log"


def test_words_are_drawn_at_equal_steps_in_their_order():
    settings = read_settings(["placement=snake,shell"])
    figure = sweep_figure(settings, list(sweep([("a", NETWORK)], CHIP, settings, evaluate)), [])
    assert [tick.get_text() for tick in figure.axes[3].get_xticklabels()] == ["snake", "shell"]
    assert [*figure.axes[0].lines[0].get_xdata()] == [0, 1]


def test_several_fields_are_drawn_as_energy_against_latency_with_a_numbered_front():
    settings = read_settings(["crossbar.rows=128,256", "adc.choice=2,6,8"])
    found = list(sweep([("a", NETWORK)], CHIP, settings, evaluate))
    figure = sweep_figure(settings, found, [[2, 5]])
    axes = figure.axes[0]
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in points) == 6
    assert len({line.get_color() for line in points}) == 2
    assert len({line.get_marker() for line in points}) == 3
    assert [text.get_text() for text in axes.texts][1:] == ["1", "2"]
    assert any(text.startswith("1  crossbar.rows 128, adc.choice 8: ") for text in legend_texts(figure))
    assert {"crossbar.rows", "adc.choice", "  256", "  8", "front"} <= set(legend_texts(figure))


def test_points_at_one_place_are_drawn_around_one_another_and_many_are_counted():
    settings = read_settings(
        ["device.technology_nm=22,32,45,65,90,130", "adc.choice=2,8"]
    )  # the first costs nothing
    found = list(sweep([("a", NETWORK)], CHIP, settings, evaluate))
    axes = sweep_figure(settings, found, [[]]).axes[0]
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in points) == 2 * 4
    innermost, *around = sorted({line.get_markersize() for line in points})
    assert len(around) == 3
    in_front = max(points, key=lambda line: line.get_zorder())
    assert in_front.get_markersize() == innermost
    assert [text.get_text() for text in axes.texts].count("6×") == 2


def test_figures_are_saved_as_the_kind_their_name_says(tmp_path: Path):
    figure = floorplan(work_out(NETWORK, CHIP), "n")
    for name in ("a.png", "a.svg", "a.PDF"):
        check_figure_path("--floorplan", tmp_path / name)
        save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")  # noqa: S314  # our own file


def test_no_name_breaks_a_figure(tmp_path: Path):
    name = "$x_{$ _a\n" + "b" * 300
    save(floorplan(work_out(NETWORK, CHIP), name), tmp_path / "a.png")
    for texts in (["clock_mhz=1,2"], ["clock_mhz=1,2", "adcs=derived,64"]):
        settings = read_settings(texts)
        found = list(sweep([(name, NETWORK), ("_b", NETWORK)], CHIP, settings, evaluate))
        figure = sweep_figure(settings, found, [[0], [4]])
        save(figure, tmp_path / "b.png")
        assert "_b" in [text.strip() for text in legend_texts(figure)]
        figure.draw_without_rendering()
        for legend in figure.legends:
            assert legend.get_window_extent().x0 >= 0
            assert legend.get_window_extent().x1 <= figure.bbox.x1
        assert max(axes.get_window_extent().x1 for axes in figure.axes) > 0.6 * figure.bbox.x1


def test_a_long_name_is_cut_in_its_middle():
    assert short("a" * 60) == "a" * 60
    assert short("left" + "x" * 300 + "right", 20) == "leftxxx...xxxxxright"
    assert len(short("x" * 300, 24)) == 24


@pytest.mark.parametrize(("name", "told"), [("a.gif", ".png, .svg or .pdf"), ("no/a.png", "folder")])
def test_a_figure_that_cannot_be_saved_is_refused_before_any_work(tmp_path: Path, name: str, told: str):
    with pytest.raises(InvalidRequest, match="--plot") as refused:
        check_figure_path("--plot", tmp_path / name)
    assert told in str(refused.value)
