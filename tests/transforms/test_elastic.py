import math

import numpy as np
import pytest
import torch
from monai.transforms import Rand2DElasticd
from scipy.ndimage import map_coordinates

from monai_unet.transforms import RandElasticTiled, displacement_field

KEYS = ["image", "label", "weight"]
SIZES = [60, 20, 20]
MODES = ["bilinear", "nearest", "bilinear"]


def section(height=50, width=37, seed=0):
    image = torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed))
    return {"image": image, "label": (image > 0.5).float(), "weight": image * 3}


def elastic(seed=0, **kwargs):
    return RandElasticTiled(KEYS, SIZES, mode=MODES, **kwargs).set_random_state(seed)


def mirrored_tile(image, start, size, margin):
    padded = np.pad(image[0].numpy(), 200, mode="reflect")
    top, left = (200 + s - margin for s in start)
    return padded[top : top + size, left : left + size]


def test_it_is_one_of_monais_elastic_transforms():
    assert isinstance(elastic(), Rand2DElasticd)


@pytest.mark.parametrize("size", [(50, 37), (19, 64), (8, 9)])
def test_at_magnitude_zero_it_only_cuts_a_tile_out_of_the_mirrored_section(size):
    transform, data = elastic(sigma=0.0), section(*size)
    out = transform(data)
    for key, tile, margin in zip(KEYS, SIZES, (20, 0, 0), strict=True):
        expected = mirrored_tile(data[key], transform._start, tile, margin)
        assert np.abs(out[key][0].numpy() - expected).max() < 2e-4, key


def test_monais_own_transform_is_not_the_identity_at_magnitude_zero():
    """Why there is a subclass: at the spacing of the paper's grid its bicubic coordinates bend a straight ramp."""
    ramp = torch.arange(572.0).expand(1, 572, 572).clone()
    theirs = Rand2DElasticd("image", spacing=(286, 286), magnitude_range=(0, 0), prob=1, spatial_size=(572, 572))
    moved = (theirs({"image": ramp})["image"] - ramp)[0, 100:-100, 100:-100].abs().max().item()
    assert moved > 10
    ours = RandElasticTiled("image", 572, sigma=0.0)
    assert (ours({"image": ramp})["image"] - ramp).abs().max() < 1e-2


def test_equal_nodes_move_every_pixel_alike():
    nodes = torch.tensor([3.0, -7.0])[:, None, None].expand(2, 3, 3)
    field = displacement_field(nodes, (40, 31))
    assert torch.allclose(field, torch.tensor([3.0, -7.0])[:, None, None].expand(2, 40, 31), atol=1e-5)


def test_the_outer_nodes_lie_on_the_corners_of_the_tile():
    nodes = torch.arange(18.0).reshape(2, 3, 3)
    field = displacement_field(nodes, (41, 31))
    assert torch.allclose(field[:, ::20, ::15], nodes, atol=1e-5)


def test_displacements_have_the_deviation_sigma_in_pixels():
    transform = RandElasticTiled("image", 572, sigma=10.0).set_random_state(0)
    drawn = []
    for _ in range(500):
        transform.randomize((512, 512))
        deform = transform.rand_2d_elastic.deform_grid
        drawn.append(deform.rand_mag * deform.random_offset)
    assert np.stack(drawn).shape == (500, 2, 3, 3)
    assert np.std(drawn) == pytest.approx(10, rel=0.05)
    assert abs(np.mean(drawn)) < 0.5


def test_image_label_and_weight_stay_on_one_another():
    transform = elastic(rotate_range=math.pi, flip_prob=0.5)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    blob = torch.exp(-((rows - 30) ** 2 + (columns - 34) ** 2) / 200)[None]
    out = transform({"image": blob, "label": (blob > 0.5).float(), "weight": blob})
    image = out["image"][0, 20:40, 20:40]
    assert torch.allclose(image, out["weight"][0], atol=1e-6)
    assert ((image > 0.5).float() != out["label"][0]).float().mean() < 0.05


def test_nearest_labels_stay_the_values_they_were():
    out = elastic(rotate_range=math.pi)(section())
    assert set(out["label"].unique().tolist()) <= {0.0, 1.0}


def test_a_flip_alone_is_the_mirror_image():
    flipped = RandElasticTiled("image", 20, sigma=0.0, flip_prob=1.0)
    data = {"image": section(20, 20)["image"]}
    assert torch.allclose(flipped(data)["image"], data["image"].flip(1, 2), atol=1e-4)


def test_a_quarter_turn_alone_turns_the_tile():
    turned = RandElasticTiled("image", 20, sigma=0.0, rotate_range=[[math.pi / 2, math.pi / 2]])
    image = section(20, 20)["image"]
    out = turned({"image": image})["image"]
    assert any(torch.allclose(out, image.rot90(k, (1, 2)), atol=1e-3) for k in (1, 3))


def test_the_small_tile_lies_inside_the_section_and_reaches_all_of_it():
    transform = elastic(sigma=0.0)
    starts = set()
    for _ in range(600):
        transform.randomize((23, 21))
        starts.add(tuple(transform._start))
    assert starts == {(row, column) for row in range(4) for column in range(2)}


def test_the_same_seed_gives_the_same_tiles_and_another_seed_others():
    def run(seed):
        transform = elastic(seed, rotate_range=math.pi, flip_prob=0.5, prob=0.7)
        return torch.stack([transform(section())["image"] for _ in range(4)])

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_displacements_and_rotation_are_independent():
    angles, nodes = [], []
    for seed in range(400):
        transform = elastic(seed, rotate_range=math.pi)
        transform.randomize((50, 50))
        angles.append(transform.rand_2d_elastic.rand_affine_grid.rotate_params[0])
        nodes.append(transform.rand_2d_elastic.deform_grid.random_offset.ravel())
    correlation = np.corrcoef(np.column_stack([angles, np.stack(nodes)]), rowvar=False)[0, 1:]
    assert np.abs(correlation).max() < 0.2


def test_with_probability_zero_tiles_are_cut_but_never_deformed():
    transform, data = elastic(prob=0.0, rotate_range=math.pi), section()
    out = transform(data)
    assert np.abs(out["label"][0].numpy() - mirrored_tile(data["label"], transform._start, 20, 0)).max() == 0


def test_the_sample_is_not_changed():
    data = section()
    before = {key: value.clone() for key, value in data.items()}
    elastic()(data)
    assert all(torch.equal(data[key], before[key]) for key in KEYS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"sigma": -1.0}, "0 or more"), ({"nodes": 1}, "2 or more"), ({"spatial_size": [60, 21, 20]}, "even")],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandElasticTiled(**{"keys": KEYS, "spatial_size": SIZES, "mode": MODES, **arguments})


def test_items_of_different_sections_are_refused():
    data = section()
    data["label"] = data["label"][:, 1:]
    with pytest.raises(ValueError, match="not of one section"):
        elastic()(data)


def test_a_quarter_turn_of_a_tile_that_is_not_deformed_keeps_every_grey_value():
    data = section(50, 50)
    transform = elastic(prob=0.0, quarter_turns=True, flip_prob=0.5)
    seen = set()
    for _ in range(40):
        out = transform(data)
        cut = mirrored_tile(data["image"], transform._start, 60, 20)
        versions = [np.rot90(side, turns) for side in (cut, cut[:, ::-1]) for turns in range(4)]
        near = [
            index for index, version in enumerate(versions) if np.abs(out["image"][0].numpy() - version).max() < 2e-3
        ]
        assert near, "one of the eight ways to lay the tile onto itself"
        seen.add(near[0])
    assert len(seen) == 8


def test_image_and_label_turn_together():
    data = section(50, 50)
    data["label"] = data["image"].clone()
    out = elastic(prob=0.0, quarter_turns=True)(data)
    assert torch.equal(out["image"][:, 20:40, 20:40], out["label"])


def test_a_deformed_tile_may_be_of_the_turned_section():
    """Of the same random numbers about the middle of the section."""
    data = section(64, 64)
    plain, turned = elastic(quarter_turns=True), elastic(quarter_turns=True)
    for transform in (plain, turned):
        transform.randomize((64, 64))
        transform._start = [22, 22]
        transform.randomize = lambda size: None
    plain._turns, turned._turns = 0, 1
    after = turned(data)["weight"]
    of_turned = [plain({k: v.rot90(turns, (1, 2)) for k, v in data.items()})["weight"] for turns in (1, 3)]
    assert min((after - other).abs().max() for other in of_turned) < 2e-3
    assert (after - plain(data)["weight"]).abs().max() > 0.1


def test_a_deformed_tile_is_what_scipy_reads_at_the_positions_of_its_formula():
    """Position = affine (quarter turn (mirror (pixel + displacement))) + place, all relative to the tile's centre."""
    transform, data = elastic(6, rotate_range=0.3, shear_range=0.1, quarter_turns=True, flip_prob=0.5), section(90, 70)
    out = transform(data)["image"][0].numpy()
    nodes = torch.as_tensor(10.0 * transform.rand_2d_elastic.deform_grid.random_offset, dtype=torch.float64)
    field = torch.nn.functional.interpolate(nodes[None], size=(60, 60), mode="bicubic", align_corners=True)[0].numpy()
    position = np.indices((60, 60)) - 59 / 2 + field
    position = position * np.reshape(transform._flips, (2, 1, 1))
    for _ in range(transform._turns):
        position = np.stack([-position[1], position[0]])
    affine = transform.rand_2d_elastic.rand_affine_grid.get_transformation_matrix().numpy()
    position = np.tensordot(affine[:2, :2], position, axes=1)
    position += np.add(transform._start, 19 / 2)[:, None, None]
    expected = map_coordinates(data["image"][0].numpy(), position, order=1, mode="mirror")
    assert transform._turns > 0
    assert -1.0 in transform._flips
    assert np.abs(out - expected).max() < 1e-4
