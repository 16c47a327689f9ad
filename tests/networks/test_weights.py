import math

import pytest
import torch
from torch import nn

from monai_unet.networks import load_weights


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weights_that_are_no_numbers_are_refused_with_file_and_tensor(tmp_path, bad, dtype):
    network = nn.Linear(2, 1)
    before = network.weight.clone()
    weights = {name: value.to(dtype) for name, value in network.state_dict().items()}
    weights["bias"][0] = bad
    torch.save(weights, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt holds NaN or infinity, first in bias"):
        load_weights(network, tmp_path / "model.pt")
    assert torch.equal(network.weight, before)


def test_missing_weights_say_where_they_were_looked_for_and_how_to_get_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load_weights(nn.Linear(2, 1), "./models/model.pt")
    for said in (f"./models/model.pt does not exist in {tmp_path}: train first", "--ckpt_path or --bundle_root"):
        assert said in str(caught.value)
    assert "isbi_compact comes with weights" in str(caught.value)
