import pytest
import torch

from monai_unet.softmax import softmax_of_pixels


def logits(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 6


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_no_bit_depends_on_where_a_pixel_lies(classes, layout):
    whole = logits(1, classes, 70, 83)
    expected = softmax_of_pixels(whole)
    for first in range(0, 30, 3):
        part = whole[..., first : first + 17, 2 * first : 2 * first + 19].contiguous(memory_format=layout)
        assert torch.equal(
            softmax_of_pixels(part), expected[..., first : first + 17, 2 * first : 2 * first + part.shape[-1]]
        )


def test_pytorchs_own_depends_on_it():
    """What it is for; when this fails, PyTorch's will do."""
    whole = logits(1, 2, 1, 1000)
    assert not all(
        torch.equal(whole[..., first : first + 51].contiguous().softmax(1), whole.softmax(1)[..., first : first + 51])
        for first in range(1, 40)
    )


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 2, 4, 6, 8)])
def test_it_is_the_softmax(shape):
    values = logits(*shape).double()
    torch.testing.assert_close(softmax_of_pixels(values), values.softmax(1), atol=1e-15, rtol=0)
