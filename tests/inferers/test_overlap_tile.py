import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer

from monai_unet.geometry import ValidGeometry
from monai_unet.inferers import OverlapTileInferer
from monai_unet.inferers.precision import without_tf32
from monai_unet.inferers.tiling import spans
from monai_unet.networks import OriginalUNet

GEOMETRY = ValidGeometry(depth=2)


def crop_the_margin(image):
    """A network that only crops: the image must come back."""
    for axis in range(2, image.dim()):
        image = image.narrow(axis, GEOMETRY.margin, GEOMETRY.output_size(image.shape[axis]))
    return image


def random_image(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def network(spatial_dims=2, depth=2):
    torch.manual_seed(0)
    features = (2, 3, 4, 5, 6)[: depth + 1]
    return OriginalUNet(spatial_dims, features=features).double().eval()


def untiled(image, net):
    """The oracle: mirror by NumPy, run the network once, crop."""
    geometry = net.geometry
    pad = [(0, 0), (0, 0)]
    for n in image.shape[2:]:
        pad.append((geometry.margin, geometry.input_size_for(n) - n - geometry.margin))
    padded = torch.from_numpy(np.pad(image.numpy(), pad, mode="reflect"))
    return net(padded)[(..., *(slice(n) for n in image.shape[2:]))]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 20), (20, 21), (64, 33), (100, 57)])
def test_tiles_of_a_network_that_only_crops_give_the_image_back(size):
    image = random_image(2, 3, *size)
    assert torch.equal(OverlapTileInferer(tile=20, geometry=GEOMETRY)(image, crop_the_margin), image)


def test_a_volume_comes_back_from_a_3d_network_that_only_crops():
    image = random_image(1, 1, 21, 5, 33)
    inferer = OverlapTileInferer(tile=(20, 8, 9), spatial_dims=3, geometry=GEOMETRY)
    assert torch.equal(inferer(image, crop_the_margin), image)


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (50, 50), (61, 44), (130, 97)])
@pytest.mark.parametrize("tile", [4, 20, 37, 90])
def test_tiled_equals_untiled(size, tile):
    net, image = network(), random_image(1, 1, *size)
    with torch.no_grad():
        difference = OverlapTileInferer(tile)(image, net) - untiled(image, net)
    assert difference.abs().max() < 1e-12


def test_tiled_equals_untiled_for_the_papers_depth_across_a_seam():
    net, image = network(depth=4), random_image(1, 1, 100, 410)
    with torch.no_grad():
        difference = OverlapTileInferer(tile=388)(image, net) - untiled(image, net)
    assert difference.abs().max() < 1e-12


def test_tiled_equals_untiled_in_3d():
    net, image = network(spatial_dims=3, depth=1), random_image(1, 1, 13, 22, 9)
    with torch.no_grad():
        difference = OverlapTileInferer(tile=8, spatial_dims=3)(image, net) - untiled(image, net)
    assert difference.abs().max() < 1e-12


def test_tiles_off_the_lattice_would_differ():
    """What the lattice is for: the same tiles laid at a step of 5, no multiple of 4, are wrong."""
    net, image = network(), random_image(1, 1, 60, 60)
    with torch.no_grad():
        whole = untiled(image, net)
        shifted = untiled(image[..., 5:, :], net)
    inner = slice(25, 30)  # far from the border that the crop makes
    assert (whole[..., 5:, :][..., inner, :] - shifted[..., inner, :]).abs().max() > 1e-3


def test_a_padded_network_in_monais_sliding_window_has_seams():
    """The promise that nobody else makes; here is what it is measured against."""
    from monai.networks.nets import BasicUNet

    torch.manual_seed(0)
    net = BasicUNet(2, 1, 2, features=(4, 4, 4, 4, 4, 4), norm=None).eval().double()
    image = random_image(1, 1, 160, 160)
    with torch.no_grad():
        difference = SlidingWindowInferer(64, overlap=0.5, mode="gaussian")(image, net) - net(image)
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("section_axis", [-1, 0])
def test_a_2d_network_takes_a_volume_section_by_section(section_axis):
    net, volume = network(), random_image(1, 1, 30, 25, 3)
    inferer = OverlapTileInferer(tile=20, section_axis=section_axis)
    with torch.no_grad():
        output = inferer(volume.movedim(-1, 2) if section_axis == 0 else volume, net)
        alone = inferer(volume[..., 1], net)
    assert torch.equal(output[:, :, 1] if section_axis == 0 else output[..., 1], alone)


@pytest.mark.parametrize("size", [1, 383, 384, 388, 389, 512, 2000])
def test_every_output_pixel_lies_in_one_tile_and_every_tile_on_the_lattice(size):
    geometry = ValidGeometry(depth=4)
    tiles = spans(size, 388, geometry)
    assert [p for tile in tiles for p in range(tile.start, tile.stop)] == list(range(size))
    assert all(tile.start % geometry.stride == 0 for tile in tiles)
    assert all(geometry.output_size(tile.size) >= tile.stop - tile.start for tile in tiles)


def test_a_metatensor_keeps_its_metadata():
    image = MetaTensor(random_image(1, 1, 30, 30), affine=torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0])))
    with torch.no_grad():
        output = OverlapTileInferer(tile=20)(image, network())
    assert isinstance(output, MetaTensor)
    assert torch.equal(output.affine, image.affine)


def test_the_output_lies_on_the_device_that_is_asked_for():
    output = OverlapTileInferer(20, geometry=GEOMETRY, device="meta")(random_image(1, 1, 9, 9), crop_the_margin)
    assert output.device.type == "meta"


def test_half_precision_logits_are_put_together_in_single_precision():
    output = OverlapTileInferer(20, geometry=GEOMETRY)(random_image(1, 1, 9, 9).half(), crop_the_margin)
    assert output.dtype == torch.float32


def test_a_tile_below_the_lattice_is_refused_before_anything_is_predicted():
    with pytest.raises(ValueError, match="take 4 or more"):
        OverlapTileInferer(3, geometry=GEOMETRY)


def test_the_image_is_not_changed():
    image = random_image(1, 1, 30, 30)
    before = image.clone()
    with torch.no_grad():
        OverlapTileInferer(tile=20)(image, network())
    assert torch.equal(image, before)


def test_a_network_without_geometry_is_refused():
    with pytest.raises(ValueError, match="no `geometry`"):
        OverlapTileInferer(20)(random_image(1, 1, 9, 9), crop_the_margin)


def test_a_shape_that_is_neither_section_nor_volume_is_refused():
    with pytest.raises(ValueError, match="does not fit a 2-D network"):
        OverlapTileInferer(20, geometry=GEOMETRY)(random_image(1, 9, 9), crop_the_margin)


@pytest.mark.parametrize("tile", [0, (8, 8, 8)])
def test_a_tile_that_is_no_tile_is_refused(tile):
    with pytest.raises(ValueError, match="one positive number, or 2 of them"):
        OverlapTileInferer(tile)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [
        *(("cpu", torch.float32), ("cpu", torch.bfloat16)),
        # in half precision some of cuDNN's kernels add in another order at another place of a tile
        pytest.param("cuda", torch.float32, marks=pytest.mark.gpu),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_two_tiles_of_one_size_agree_bit_for_bit_where_they_overlap(device, dtype, layout):
    """What `OverlapTileInferer` and regions rely on; of this machine's kernels."""
    torch.manual_seed(0)
    net = OriginalUNet(features=(8, 16, 32), normalisation="weights").eval().to(device, memory_format=layout)
    image = random_image(1, 1, 200, 220).float().to(device)
    places = [(0, 0), (4, 0), (0, 8), (12, 20), (56, 40)]
    with torch.no_grad(), without_tf32(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
        tiles = [net(image[..., y : y + 140, x : x + 140]) for y, x in places]
    whole = torch.full((1, 2, 200, 220), float("nan"), device=device)
    for (y, x), tile in zip(places, tiles, strict=True):
        box = (..., slice(y, y + tile.shape[-2]), slice(x, x + tile.shape[-1]))
        seen = ~whole[box].isnan()
        assert torch.equal(whole[box][seen], tile.float()[seen])
        whole[box] = tile.float()


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_place_in_a_batch_changes_no_bit_and_threads_the_last_ones_at_most(dtype):
    torch.manual_seed(0)
    net = OriginalUNet(features=(8, 16, 32), normalisation="weights").eval()
    image = random_image(2, 1, 150, 130).float()
    inferer = OverlapTileInferer(48, sw_batch_size=3, amp_dtype=dtype)
    threads = torch.get_num_threads()
    try:
        with torch.no_grad():
            torch.set_num_threads(1)
            one = inferer(image, net)
            torch.set_num_threads(2)
            two = inferer(image, net)
            flipped = inferer(image.flip(0), net).flip(0)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(two, flipped)
    assert (one - two).abs().max() < 1e-5  # kernels of some CPUs add in another order


@pytest.mark.parametrize("batch", [2, 3, 50])
def test_tiles_in_batches_give_the_same(batch):
    net, image = network(), random_image(2, 1, 61, 44)
    with torch.no_grad():
        one, many = (OverlapTileInferer(12, sw_batch_size=size)(image, net) for size in (1, batch))
    assert torch.allclose(one, many, atol=1e-12)


def test_the_tile_is_chosen_from_the_memory_and_changes_nothing():
    net, image = network(), random_image(1, 1, 150, 130)
    with torch.no_grad():
        small, large = (OverlapTileInferer(memory=memory)(image, net) for memory in (400_000, "free"))
    assert (small - large).abs().max() < 1e-12


def test_a_network_that_does_not_know_its_memory_needs_a_tile():
    with pytest.raises(ValueError, match="give OverlapTileInferer a tile"):
        OverlapTileInferer(geometry=GEOMETRY)(random_image(1, 1, 9, 9), crop_the_margin)


def test_torchscript_networks_fit_with_a_geometry():
    net, image = network(), random_image(1, 1, 40, 40)
    with torch.no_grad():
        plain = OverlapTileInferer(20)(image, net)
        scripted = OverlapTileInferer(20, geometry=net.geometry)(image, torch.jit.script(net))
    assert torch.equal(plain, scripted)


def test_mixed_precision_stays_near_single_precision():
    net, image = network().float(), random_image(1, 1, 40, 40).float()
    with torch.no_grad():
        single, mixed = (OverlapTileInferer(20, amp_dtype=dtype)(image, net) for dtype in (None, torch.bfloat16))
    assert mixed.dtype == torch.float32
    assert 0 < (single - mixed).abs().max() < 0.2
