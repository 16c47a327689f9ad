import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from scipy import ndimage
from skimage.segmentation import expand_labels

from monai_unet.metrics import SegMetric, SegScoreHandler, seg_score
from monai_unet.metrics.frames import challenge_files

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def stack():
    """Cells and objects (D, H, W) of four sections; the second has no cell."""
    rng = np.random.default_rng(5)
    labels = ndimage.zoom(rng.integers(0, 6, (4, 6, 9)), (1, 5, 4), order=0).astype(np.int32)
    labels[1] = 0
    proposal = np.where(rng.random(labels.shape) < 0.3, 0, np.roll(labels, 1, axis=2) * 3)
    return labels, proposal.astype(np.int32)


@pytest.fixture
def tensors(stack):
    """Cells and objects (B, 1, H, W)."""
    return tuple(torch.from_numpy(part)[:, None] for part in stack)


def seg_of_row(labels, proposal):
    return seg_score(np.array([labels]), np.array([proposal])).seg


# by hand


def test_the_score_is_intersection_by_union():
    assert seg_of_row([1, 1, 1, 0, 0], [0, 7, 7, 7, 7]) == 2 / 5


def test_half_of_a_cell_is_no_match_and_a_pixel_more_is():
    assert seg_of_row([1, 1, 1, 1], [7, 7, 0, 0]) == 0
    assert seg_of_row([1, 1, 1, 1, 1], [7, 7, 7, 0, 0]) == 3 / 5


def test_it_is_half_of_the_cell_that_counts_not_half_of_the_object():
    assert seg_of_row([1, 1, 0, 0, 0, 0, 0], [7, 7, 7, 7, 7, 7, 7]) == 2 / 7
    assert seg_of_row([1, 1, 1, 1, 1, 1, 1], [7, 7, 0, 0, 0, 0, 0]) == 0


def test_an_object_over_two_cells_matches_both():
    scores = seg_score(np.array([[4, 4, 4, 2, 2]]), np.array([[7, 7, 7, 7, 7]]))
    assert scores.jaccard == ({2: 2 / 5, 4: 3 / 5},)
    assert (scores.num_cells, scores.num_matched, scores.seg) == (2, 2, 0.5)


def test_objects_where_nothing_is_annotated_cost_nothing():
    assert seg_of_row([1, 1, 0, 0, 0, 0], [7, 7, 0, 8, 8, 9]) == 1


def test_what_an_object_covers_outside_the_annotation_counts():
    assert seg_of_row([1, 1, -1, -1, 0], [7, 7, 7, 0, 0]) == 2 / 3


def test_a_cell_in_two_pieces_is_one_cell():
    assert seg_of_row([1, 1, 0, 1, 0], [7, 7, 0, 8, 0]) == 2 / 3


def test_the_mean_is_over_cells_not_over_sections():
    labels = np.array([[[1, 1, 2, 3]], [[1, 0, 0, 0]]])
    proposal = np.array([[[5, 5, 6, 7]], [[0, 0, 0, 0]]])
    scores = seg_score(labels, proposal)
    assert (scores.seg, scores.per_section) == (3 / 4, (1, 0))


def test_the_same_id_in_two_sections_is_two_cells():
    labels, proposal = np.array([[[1, 1]], [[1, 1]]]), np.array([[[3, 3]], [[4, 0]]])
    assert seg_score(labels, proposal).jaccard == ({1: 1.0}, {1: 0.0})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("proposal", [0, 3])
def test_without_a_cell_the_score_is_1(proposal):
    scores = seg_score(np.zeros((2, 3, 4), int), np.full((2, 3, 4), proposal))
    assert (scores.seg, scores.per_section, scores.num_cells) == (1, (1, 1), 0)


def test_a_section_without_a_cell_adds_nothing_to_the_mean():
    scores = seg_score(np.array([[[1, 1]], [[0, 0]]]), np.array([[[0, 0]], [[5, 5]]]))
    assert (scores.seg, scores.per_section) == (0, (0, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_any_integer_type_holds_ids(stack, dtype):
    assert seg_score(*(part.astype(dtype) for part in stack)) == seg_score(*stack)


def test_large_ids_are_kept_apart():
    assert seg_of_row([2**31 - 1, 2**31 - 1, 2**31 - 2], [2**31 - 1, 2**31 - 1, 2**31 - 2]) == 1


def test_input_is_left_alone(stack):
    before = [part.copy() for part in stack]
    seg_score(*stack)
    assert all(np.array_equal(*pair) for pair in zip(stack, before, strict=True))


def test_what_holds_no_ids_is_refused():
    cells = np.ones((2, 3), int)
    with pytest.raises(TypeError, match=r"proposal of type float64: one integer per object .*label_instances"):
        seg_score(cells, cells / 2)
    with pytest.raises(TypeError, match="labels of type bool"):
        seg_score(cells > 0, cells)
    with pytest.raises(ValueError, match=r"\(2, 3\) and a proposal of shape \(3, 2\)"):
        seg_score(cells, cells.T)
    with pytest.raises(ValueError, match="both must have the same shape"):
        seg_score(cells[None, None], cells[None, None])
    with pytest.raises(ValueError, match="id 2147483648: up to 2147483647"):
        seg_score(cells, cells * 2**31)


# files


def write_frames(folder, name, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in frames.items():
        tifffile.imwrite(folder / f"{name}{number}.tif", frame.astype(np.uint16), compression="lzw")


def test_tiff_stacks_give_the_scores_of_their_arrays(stack, tmp_path):
    paths = [tmp_path / "labels.tif", str(tmp_path / "proposal.tif")]
    for path, part in zip(paths, stack, strict=True):
        tifffile.imwrite(path, part, photometric="minisblack")
    assert seg_score(*paths) == seg_score(*stack)


@pytest.mark.parametrize("labels", ["01_GT", "01_GT/SEG"])
def test_folders_are_paired_by_the_number_of_the_frame(stack, tmp_path, labels):
    truth, proposal = stack
    write_frames(tmp_path / "01_GT" / "SEG", "man_seg", {"009": truth[0], "010": truth[2]})
    write_frames(tmp_path / "01_RES", "mask", {"0010": proposal[2], "0009": proposal[0], "0011": proposal[3]})
    scores = seg_score(tmp_path / labels, tmp_path / "01_RES")
    assert scores == seg_score(truth[[0, 2]], proposal[[0, 2]])
    assert [name for name, *_ in challenge_files(tmp_path / labels, tmp_path / "01_RES")] == ["009", "010"]


def test_a_missing_mask_is_named(stack, tmp_path):
    write_frames(tmp_path / "SEG", "man_seg", dict(zip(("000", "007", "008"), stack[0], strict=False)))
    write_frames(tmp_path / "RES", "mask", {"000": stack[1][0]})
    with pytest.raises(FileNotFoundError, match=r"RES/mask007.tif does not exist.*man_seg007.tif, and 1 more"):
        seg_score(tmp_path / "SEG", tmp_path / "RES")


def test_wrong_folders_are_refused(stack, tmp_path):
    frame = stack[0][0]
    write_frames(tmp_path / "RES", "mask", {"000": frame})
    with pytest.raises(FileNotFoundError, match=r"RES holds no man_segNNN\.tif"):
        seg_score(tmp_path / "RES", tmp_path / "RES")
    write_frames(tmp_path / "volumes", "man_seg_", {"000_012": frame})
    with pytest.raises(ValueError, match="sections of volumes"):
        seg_score(tmp_path / "volumes", tmp_path / "RES")
    with pytest.raises(ValueError, match=r"only the proposal, .*RES, are a folder"):
        seg_score(frame, tmp_path / "RES")
    write_frames(tmp_path / "SEG", "man_seg", {"000": frame[1:]})
    with pytest.raises(ValueError, match=r"man_seg000.tif has the shape \(29, 36\) and .*mask000.tif \(30, 36\)"):
        seg_score(tmp_path / "SEG", tmp_path / "RES")
    write_frames(tmp_path / "RES", "mask", {"0": frame})
    with pytest.raises(ValueError, match=r"mask0.tif and .*mask000.tif are of the same frame"):
        seg_score(tmp_path / "SEG", tmp_path / "RES")


# the same as py-ctcmetrics


def ctc_seg(truth, results):
    """SEG as py-ctcmetrics computes it from files; it expects background in every frame."""
    representations = pytest.importorskip("ctc_metrics.utils.representations", reason="py-ctcmetrics is not installed")
    from ctc_metrics.metrics import seg

    matches = [representations.match(str(one), str(other)) for one, other in zip(truth, results, strict=True)]
    return seg([match[0] for match in matches], [match[4] for match in matches])


def random_frames(seed):
    """Cells and objects of up to three frames, alike to a degree that differs."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers((1, 3, 3), (4, 12, 14)))
    labels, others = (ndimage.zoom(rng.integers(0, rng.integers(2, 9), shape), (1, 3, 4), order=0) for _ in range(2))
    proposal = np.where(rng.random(labels.shape) < rng.uniform(0.3, 1), labels * 3, others)
    labels[:, 0, 0] = proposal[:, 0, 0] = 0
    return labels, proposal


def test_random_objects_have_the_score_of_py_ctcmetrics(tmp_path):
    seen = []
    for seed in range(40):
        frames = random_frames(seed)
        for folder, name, stack in zip(("SEG", "RES"), ("man_seg", "mask"), frames, strict=True):
            write_frames(tmp_path / str(seed) / folder, name, {f"{n:03}": frame for n, frame in enumerate(stack)})
        _, truth, results = zip(
            *challenge_files(tmp_path / str(seed) / "SEG", tmp_path / str(seed) / "RES"), strict=True
        )
        seen.append(seg_score(*frames).seg)
        assert seen[-1] == pytest.approx(ctc_seg(truth, results), abs=1e-12)
    assert len(set(seen)) > 30  # not all 0 or 1


def disturbed(labels, rng):
    """Objects made from cells: moved, grown, some left out, some united with others, some cut."""
    moved = np.roll(expand_labels(labels, rng.uniform(0, 6)), rng.integers(-9, 10, 2), (0, 1))
    ids = np.arange(labels.max() + 1)
    ids[rng.random(len(ids)) < 0.1] = 0
    united = rng.random(len(ids)) < 0.2
    ids[united] = rng.permutation(ids[united])[0] if united.any() else 0
    cut = (rng.random(len(ids)) < 0.2)[moved] & (np.indices(labels.shape)[1] % 97 < 40)
    objects = ids[moved] + cut * 500 * (ids[moved] > 0)
    objects[0, 0] = 0
    return objects


@pytest.mark.parametrize(("name", "sequence"), [("dic_hela", "01"), ("phc_u373", "02")])
def test_real_frames_have_the_score_of_py_ctcmetrics(name, sequence, tmp_path):
    folder = DATA / name / f"{sequence}_GT" / "SEG"
    if not folder.is_dir():
        pytest.skip(f"the challenge's frames are not in ../shared/data/{name}")
    truth = sorted(folder.glob("man_seg*.tif"))
    rng = np.random.default_rng(9)
    write_frames(
        tmp_path, "mask", {re.sub("man_seg", "", path.stem): disturbed(tifffile.imread(path), rng) for path in truth}
    )
    scores = seg_score(folder, tmp_path)
    assert scores.seg == pytest.approx(ctc_seg(truth, sorted(tmp_path.glob("mask*.tif"))), abs=1e-12)
    assert 0.2 < scores.seg < 0.95
    assert 0 < scores.num_matched < scores.num_cells


def test_the_truth_itself_is_perfect():
    folder = DATA / "dic_hela" / "01_GT" / "SEG"
    if not folder.is_dir():
        pytest.skip("the challenge's frames are not in ../shared/data/dic_hela")
    frames = np.stack([tifffile.imread(path) for path in sorted(folder.glob("*.tif"))])
    scores = seg_score(frames, frames)
    assert (scores.seg, set(scores.per_section)) == (1, {1})
    assert scores.num_cells == sum(len(np.unique(frame)) - 1 for frame in frames)


# MONAI


def test_batches_give_the_score_of_their_stack(stack, tensors):
    metric = SegMetric()
    for batch in (slice(0, 1), slice(1, 2), slice(2, 4)):
        metric(tensors[1][batch], tensors[0][batch])
    assert metric.aggregate().item() == seg_score(*stack).seg
    assert metric.aggregate().dtype == torch.float64
    assert metric.get_buffer()[:, 1].tolist() == [len(np.unique(section)) - 1 for section in stack[0]]


def test_lists_may_hold_sections_of_different_sizes():
    metric = SegMetric()
    metric(
        [MetaTensor([[[7, 7, 0]]]).int(), torch.tensor([[[0], [5]]])],
        [torch.tensor([[[1, 1, 1]]]), torch.tensor([[[2], [4]]])],
    )
    assert metric.aggregate().item() == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_a_reset_forgets_the_sections(stack, tensors):
    metric = SegMetric()
    metric(tensors[1][:3], tensors[0][:3])
    metric.reset()
    with pytest.raises(ValueError, match="no section has been given to SegMetric"):
        metric.aggregate()
    metric(tensors[1][3:], tensors[0][3:])
    assert metric.aggregate().item() == seg_score(stack[0][3], stack[1][3]).seg


def test_wrong_shapes_are_refused(tensors):
    truth, proposal = tensors
    for y_pred, y in ((proposal, truth[:, 0]), (proposal, None), (proposal[:, 0], truth[:, 0])):
        with pytest.raises(ValueError, match=r"\(B, 1, H, W\) is expected of both"):
            SegMetric()(y_pred, y)
    with pytest.raises(ValueError, match=r"\(4, 2, 30, 36\)"):
        SegMetric()(proposal.repeat(1, 2, 1, 1), truth.repeat(1, 2, 1, 1))


def test_an_evaluator_made_from_json_has_the_score_as_its_key_metric(stack, tensors):
    config = json.loads("""{
        "imports": ["$import monai"],
        "key_val_metric": {"seg": {
            "_target_": "monai_unet.metrics.SegScoreHandler",
            "output_transform": "$monai.handlers.from_engine(['instances', 'cells'])"}}
    }""")
    parser = ConfigParser(config)
    parser.parse()
    parser.get_parsed_content("imports")
    handlers = parser.get_parsed_content("key_val_metric")
    assert isinstance(handlers["seg"], SegScoreHandler)
    samples = [
        {"image": proposal.float(), "label": truth, "cells": truth, "instances": proposal}
        for truth, proposal in ((tensors[0][part], tensors[1][part]) for part in (slice(0, 3), slice(3, 4)))
    ]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=samples,
        network=torch.nn.Identity(),
        iteration_update=lambda engine, batch: batch,
        key_val_metric=handlers,
    )
    evaluator.run()
    assert evaluator.state.metrics["seg"] == evaluator.state.best_metric == seg_score(*stack).seg
    assert evaluator.state.metric_details["seg"].shape == (4, 2)
