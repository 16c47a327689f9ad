"""A caller is told how far a prediction is, and what it raises ends it."""

import pytest

pytest.importorskip("zarr", reason="needs Python 3.11")


def test_a_caller_is_told_after_each_tile(predicted, stack, tmp_path):
    told = []
    predicted(stack, tmp_path / "out.ome.zarr", progress=lambda done, total: told.append((done, total)))
    totals = {total for _, total in told}
    assert len(totals) == 1
    assert [done for done, _ in told][-1] == totals.pop()
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_a_caller_is_told_once_where_no_tile_is_missing(predicted, stack, tmp_path):
    told = []
    for _ in range(2):
        told.append([])
        predicted(stack, tmp_path / "out.ome.zarr", progress=lambda *numbers: told[-1].append(numbers))
    assert told[1] == told[0][-1:]


def test_what_it_raises_ends_the_prediction_which_goes_on_with_the_same_call(predicted, stack, tmp_path):
    class EnoughError(Exception):
        pass

    def stop(done, total):
        raise EnoughError

    told = []
    with pytest.raises(EnoughError):
        predicted(stack, tmp_path / "out.ome.zarr", progress=stop)
    predicted(stack, tmp_path / "out.ome.zarr", progress=lambda done, total: told.append((done, total)))
    assert told[0][0] > 1, "the first tile was computed again"
    assert told[-1][0] == told[-1][1]
