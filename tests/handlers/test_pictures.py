import numpy as np
import torch
from ignite.engine import Engine
from skimage.io import imread

from monai_unet.handlers import SavePictures
from monai_unet.handlers.pictures import side_by_side


def test_the_panels_are_input_truth_probability_and_prediction():
    image = np.array([[10.0, 30.0]])
    picture = side_by_side(image, np.array([[0, 1]]), np.array([[0.4, 0.8]]))
    assert picture.shape == (1, 4 * 2 + 3 * 4)
    assert [picture[0, start : start + 2].tolist() for start in (0, 6, 12, 18)] == [
        [0, 255],
        [0, 255],
        [102, 204],
        [0, 255],
    ]


def test_a_constant_image_is_black_and_not_an_error():
    assert side_by_side(np.full((2, 2), 7.0), np.zeros((2, 2)), np.zeros((2, 2)))[:, :2].max() == 0


def test_each_section_gets_its_picture_and_a_second_run_starts_at_zero(tmp_path):
    output = [{"image": torch.rand(1, 3, 5), "label": torch.zeros(1, 3, 5), "pred": torch.rand(2, 3, 5)}]
    engine = Engine(lambda engine, batch: output)
    SavePictures(tmp_path).attach(engine)
    for _ in range(2):
        engine.run([0, 1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["section_000.png", "section_001.png"]
    assert imread(tmp_path / "section_001.png").shape == (3, 32)
