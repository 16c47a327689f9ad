import pytest
import torch

from monai_unet.geometry import ValidGeometry
from monai_unet.inferers import AutocastInferer, OverlapTileInferer, allow_tf32, compute_dtype
from monai_unet.inferers import precision as module


def convolve(x):
    return torch.nn.functional.conv2d(x, torch.ones(1, 1, 1, 1))


def test_bfloat16_is_what_a_convolution_then_computes_in():
    image = torch.rand(1, 1, 4, 4)
    assert AutocastInferer(torch.bfloat16)(image, convolve).dtype == torch.bfloat16
    assert torch.equal(AutocastInferer(torch.float32)(image, convolve), image)


def test_single_precision_needs_no_autocast_where_a_device_has_none():
    image = torch.rand(1, 1, 4, 4, device="meta")
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'meta'"):
        AutocastInferer(torch.bfloat16)(image, convolve)
    assert AutocastInferer(torch.float32)(image, lambda x: x * 2).dtype == torch.float32


def test_single_precision_is_computed_within_a_wider_autocast_too():
    with torch.autocast("cpu", torch.bfloat16):
        assert AutocastInferer(torch.float32)(torch.rand(1, 1, 4, 4), convolve).dtype == torch.float32


@pytest.mark.parametrize(("amx", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_with_matrix_units_computes_in_bfloat16(monkeypatch, amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert compute_dtype("auto", "cpu") == expected


def test_a_pytorch_that_cannot_tell_computes_in_single_precision(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert module.compute_dtype("auto", "cpu") == torch.float32


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("bfloat16", torch.bfloat16), ("float16", torch.float16), ("tf32", torch.float32), ("float32", torch.float32)],
)
def test_a_precision_that_is_named_is_taken(name, dtype):
    assert compute_dtype(name) == dtype


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match=r"precision 'half': one of auto, bfloat16, float16, tf32, float32"):
        compute_dtype("half")


def test_a_training_in_float16_is_refused_before_its_gradients_vanish():
    with pytest.raises(ValueError, match="take bfloat16 or auto"):
        compute_dtype("float16", training=True)


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_values_out_of_the_range_of_half_precision_are_an_error(dtype):
    def network(image):
        return (torch.ones_like(image) if dtype is None else torch.ones_like(image, dtype=dtype)) * 60_000 * 2

    inferer = OverlapTileInferer(20, geometry=ValidGeometry(depth=2))
    if dtype is None:
        inferer(torch.rand(1, 1, 9, 9), network)
    else:
        with pytest.raises(ValueError, match="take --precision bfloat16 or float32"):
            inferer(torch.rand(1, 1, 9, 9), network)


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("auto", True), ("float32", False)])
def test_only_float32_forbids_the_rounding_to_tf32(monkeypatch, precision, allowed):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", not allowed)
    allow_tf32(precision)
    assert torch.backends.cudnn.allow_tf32 is allowed


def test_predictions_never_round_to_tf32_and_leave_the_setting_as_it_was(monkeypatch):
    seen = []

    class Network(torch.nn.Module):
        geometry = ValidGeometry(depth=1)

        def forward(self, x):
            seen.append(torch.backends.cudnn.allow_tf32)
            return x[..., 8:-8, 8:-8]

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    OverlapTileInferer(tile=16)(torch.zeros(1, 1, 20, 20), Network())
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32 is True
