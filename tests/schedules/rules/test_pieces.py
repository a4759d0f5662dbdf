"""The moves one by one: reading, fusing, flattening, splitting, grouping, tiling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm import tirx
from tvm.relax import op

from edgewright.schedules.rules.algebra import (
    calls_in,
    const,
    int_value,
    nodes_in,
    simplify,
    variable,
)
from edgewright.schedules.rules.conditions import branches_on, fold_conditions, segments
from edgewright.schedules.rules.contraction import is_contraction
from edgewright.schedules.rules.flatten import flatten, merge_axes, split_axes
from edgewright.schedules.rules.fuse_stages import fold_epilogues, inline_producers
from edgewright.schedules.rules.groups import group_stages
from edgewright.schedules.rules.index_tables import hoist_index_tables
from edgewright.schedules.rules.loops import Tile, parallel_nest, widths
from edgewright.schedules.rules.reduction_tile import choose_tile
from edgewright.schedules.rules.stages import Axis, Program, Stage, read_program
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import Tensor, legalized, prim_funcs, relax_module


def _program(build: Any, *shapes: tuple[int, ...], host: Target) -> Program:
    module = legalized(relax_module(build, [Tensor(shape) for shape in shapes]), host)
    (func,) = prim_funcs(module).values()
    program = read_program(func)
    assert program is not None
    return program


def _extents(stage: Stage) -> list[int]:
    return [axis.extent for axis in stage.axes]


# --- loops -----------------------------------------------------------------------------------


def test_widths_are_full_vectors_then_powers_of_two() -> None:
    assert widths(21, 8) == [(0, 8), (8, 8), (16, 4), (20, 1)]
    assert widths(3, 16) == [(0, 2), (2, 1)]


@given(st.integers(1, 300), st.sampled_from([1, 4, 8, 16]))
def test_widths_cover_the_extent_once(extent: int, lanes: int) -> None:
    covered = [offset + i for offset, width in widths(extent, lanes) for i in range(width)]
    assert covered == list(range(extent))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=3), st.data())
def test_a_nest_visits_every_point_once(dims: list[tuple[int, int]], data: st.DataObject) -> None:
    axes = [Axis(variable(f"v{i}"), extent, False) for i, (extent, _) in enumerate(dims)]
    tiles = [Tile(axis, size) for axis, (_, size) in zip(axes, dims, strict=True)]
    visited: list[tuple[int, ...]] = []
    blocks: dict[int, Any] = {}

    def leaf(block: Any) -> list[Any]:
        blocks[len(blocks)] = block
        # From 1, since a sequence drops Evaluate(0).
        return [tirx.Evaluate(const(len(blocks), "int32"))]

    fused = data.draw(st.integers(0, len(tiles)))
    nest = parallel_nest(tiles, fused, leaf, [])
    _interpret(nest, {}, blocks, axes, visited)
    points = [()]
    for extent, _ in dims:
        points = [(*point, i) for point in points for i in range(extent)]
    assert sorted(visited) == points


def _interpret(
    statement: Any, values: dict[Any, int], blocks: Any, axes: Any, visited: list[Any]
) -> None:
    def value(expr: Any) -> int:
        from edgewright.schedules.rules.algebra import substitute

        bound = {v: tirx.IntImm(str(v.ty.dtype), i) for v, i in values.items()}
        found = int_value(simplify(substitute(expr, bound), {}))
        assert found is not None
        return found

    if isinstance(statement, tirx.For):
        for i in range(int(statement.extent)):
            inner = {**values, statement.loop_var: i}
            _interpret(statement.body, inner, blocks, axes, visited)
    elif isinstance(statement, tirx.SeqStmt):
        for part in statement.seq:
            _interpret(part, values, blocks, axes, visited)
    elif isinstance(statement, tirx.IfThenElse):
        taken = statement.then_case if value(statement.condition) else statement.else_case
        _interpret(taken, values, blocks, axes, visited)
    else:
        block = blocks[int(statement.value) - 1]
        points: list[tuple[int, ...]] = [()]
        for axis in axes:
            start, width = value(block.base[axis.var]), block.width[axis.var]
            points = [(*p, start + i) for p in points for i in range(width)]
        visited.extend(points)


# --- fusing ----------------------------------------------------------------------------------


def test_producers_are_inlined_and_leave_no_buffer(host: Target) -> None:
    program = _program(lambda x: op.nn.relu(op.add(op.multiply(x, x), x)), (3, 5), host=host)
    assert len(program.stages) == 3
    inlined = inline_producers(program)
    assert len(inlined.stages) == 1
    assert inlined.intermediates == ()


def test_an_exponential_is_not_computed_twice(host: Target) -> None:
    program = _program(lambda x: op.nn.softmax(x, -1), (3, 5), host=host)
    assert [s.name for s in inline_producers(program).stages] == [s.name for s in program.stages]


def test_padding_stays_out_of_a_convolution(host: Target) -> None:
    program = _program(
        lambda x, w: op.nn.conv2d(x, w, padding=(1, 1)), (1, 3, 8, 8), (4, 3, 3, 3), host=host
    )
    assert [s.name for s in inline_producers(program).stages] == ["pad_temp", "conv2d_nchw"]


def test_an_epilogue_is_folded_into_its_reduction(host: Target) -> None:
    program = fold_epilogues(_program(lambda x: op.mean(x, [1]), (3, 5), host=host))
    (stage,) = program.stages
    assert stage.epilogue is not None
    assert program.intermediates == ()
    assert stage.written == (stage.epilogue.output,)


# --- index tables ----------------------------------------------------------------------------


def _resize(x: Any) -> Any:
    return op.image.resize2d(x, (32, 48), layout="NCHW", method="linear")


def test_coordinates_become_tables_of_one_axis(host: Target) -> None:
    program = hoist_index_tables(_program(_resize, (1, 16, 9, 11), host=host))
    *tables, resize = program.stages
    assert {tuple(_extents(table)) for table in tables} == {(32,), (48,)}
    assert not nodes_in(resize.values[0], tirx.FloorDiv)
    assert "tirx.floor" not in calls_in(resize.values[0])
    assert {str(table.outputs[0].ty.dtype) for table in tables} == {"int32", "float32"}


def test_few_channels_are_not_worth_tables(host: Target) -> None:
    program = _program(_resize, (1, 1, 9, 11), host=host)
    assert hoist_index_tables(program) is program


# --- flattening ------------------------------------------------------------------------------


def test_axes_that_are_adjacent_everywhere_merge(host: Target) -> None:
    (stage,) = flatten(_program(op.add, (1, 4, 7, 9), (4, 1, 1), host=host)).stages
    assert _extents(merge_axes(stage)) == [4, 63]
    (same,) = flatten(_program(op.add, (2, 4, 7), (2, 4, 7), host=host)).stages
    assert _extents(merge_axes(same)) == [56]


def test_transposed_axes_do_not_merge(host: Target) -> None:
    (stage,) = flatten(_program(lambda x: op.permute_dims(x, [1, 0]), (4, 7), host=host)).stages
    assert _extents(merge_axes(stage)) == [7, 4]


def test_a_grouped_axis_is_split(host: Target) -> None:
    program = _program(
        lambda x, w: op.nn.conv2d(x, w, groups=2), (1, 6, 8, 8), (10, 3, 3, 3), host=host
    )
    stage = flatten(program).stages[-1]
    assert 10 in _extents(stage)
    assert [e for e in _extents(split_axes(stage)) if e in (2, 5, 10)] == [2, 5]


# --- conditions ------------------------------------------------------------------------------


def test_padding_is_three_segments_without_conditions_on_the_axis(host: Target) -> None:
    program = _program(lambda x: op.nn.pad(x, [0, 0, 2, 3], pad_value=1.0), (4, 9), host=host)
    (stage,) = flatten(program).stages
    last = stage.axes[-1]
    assert branches_on(stage.values[0], last.var)
    found = segments(stage, last)
    assert [start for start, _ in found] == [0, 2, 11]
    assert not any(branches_on(part.values[0], last.var) for _, part in found)


def test_conditions_that_always_hold_are_folded() -> None:
    v = variable("v")
    always = tirx.And(v < const(4), v >= const(0))
    assert fold_conditions(tirx.if_then_else(always, v, const(0)), {v: 4}).same_as(v)
    open_condition = tirx.if_then_else(v < const(3), v, const(0))
    assert len(nodes_in(fold_conditions(open_condition, {v: 4}), tirx.LT)) == 1


# --- grouping --------------------------------------------------------------------------------


def test_softmax_is_one_group_over_its_rows(host: Target) -> None:
    program = _program(lambda x: op.nn.softmax(x, -1), (64, 1000), host=host)
    (group,) = group_stages(program, lambda stage: False)
    assert [[axis.extent for axis in axes] for axes in group.shared] == [[64] * 5]


def test_a_convolution_stands_alone(host: Target) -> None:
    program = _program(
        lambda x, w: op.nn.conv2d(x, w, padding=(1, 1)), (1, 16, 32, 32), (16, 16, 3, 3), host=host
    )
    groups = group_stages(inline_producers(program), is_contraction)
    assert [[s.name for s in g.stages] for g in groups] == [["pad_temp"], ["conv2d_nchw"]]


# --- tiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("lanes", "registers"), [(4, 14), (4, 30), (8, 14), (16, 30)])
def test_a_matmul_tile_fits_the_registers(lanes: int, registers: int, host: Target) -> None:
    (stage,) = flatten(_program(op.matmul, (64, 64), (64, 64), host=host)).stages
    tile = choose_tile(merge_axes(stage), lanes, registers)
    assert tile.column_axis is not None
    assert tile.row_axis is not None
    assert tile.tile_rows * tile.tile_columns + tile.tile_columns < registers
    assert tile.tile_rows * tile.tile_columns >= registers // 2


def test_a_contiguous_reduction_runs_along_its_axis(host: Target) -> None:
    (stage,) = flatten(_program(lambda x: op.sum(x, -1), (3, 1000), host=host)).stages
    tile = choose_tile(merge_axes(stage), 4, 30)
    assert tile.lane_axis is not None
    assert tile.lane_axis.extent == 1000


def test_a_strided_reduction_runs_along_the_results(host: Target) -> None:
    (stage,) = flatten(_program(lambda x: op.sum(x, 0), (30, 100), host=host)).stages
    tile = choose_tile(merge_axes(stage), 4, 30)
    assert tile.column_axis is not None
    assert tile.column_axis.extent == 100
