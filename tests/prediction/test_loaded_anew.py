import json

import torch

from monai_unet.prediction.load import load_model

OVERRIDES = json.dumps({"features": [2, 3, 4]})


def test_a_model_is_loaded_once_and_anew_when_its_weights_have_changed(bundle):
    first = load_model(str(bundle), OVERRIDES)
    assert load_model(str(bundle), OVERRIDES) is first
    path = bundle / "models" / "model.pt"
    before = path.read_bytes()
    torch.save({name: value + 0.1 for name, value in torch.load(path, weights_only=True).items()}, path)
    other = load_model(str(bundle), OVERRIDES)
    path.write_bytes(before)
    assert other.digest != first.digest
