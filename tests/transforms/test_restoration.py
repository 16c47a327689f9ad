import numpy as np
import pytest
import torch

from monai_unet.transforms import Restoration


def test_each_channel_has_its_own_grey_values_in_every_kind_of_array():
    decoding = Restoration([100, 1000], [10, 200])
    output = np.stack([np.full((2, 3), 1.0), np.full((2, 3), -1.0)])
    for array in (output, torch.from_numpy(output)):
        restored = np.asarray(decoding.grey_values(array))
        assert (restored[0] == 110).all()
        assert (restored[1] == 800).all()
        assert np.allclose(decoding.normalised(decoding.grey_values(array)), output)
    assert decoding.grey_values(torch.from_numpy(output).reshape(2, 1, 2, 3)).shape == (2, 1, 2, 3)


def test_a_deviation_of_0_is_refused_in_any_channel():
    with pytest.raises(ValueError, match=r"target_std \(1, 0\)"):
        Restoration([0, 0], [1, 0])
