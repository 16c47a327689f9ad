"""Pictures of classes in TensorBoard, in the colours of the report."""

import numpy as np
import torch
from ignite.engine import Engine

from monai_unet.handlers import ClassPictures
from monai_unet.report import MISSED_COLOUR

COLOURS = "b=0,0,250 a=0,200,0"


class Writer:
    """What `add_image` gets."""

    def __init__(self):
        self.added = []

    def add_image(self, tag, picture, step, dataformats):
        self.added.append((tag, picture, step, dataformats))


def section(seed, size=(6, 8)):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, (1, *size))
    pred = np.stack([label[0] == 0, label[0] == 1]).astype(np.float32)
    pred[:, 0, 0] = pred[::-1, 0, 0]
    sample = {"image": rng.random((3, *size)), "label": label, "ignore": np.zeros((1, *size), np.uint8)}
    return {name: torch.as_tensor(values) for name, values in sample.items()}, torch.as_tensor(pred)


def test_the_first_section_of_a_validation_is_shown_in_the_colours_of_its_classes():
    writer, (sample, pred) = Writer(), section(0)
    engine = Engine(lambda engine, batch: [{"pred": pred}])
    ClassPictures(writer, ["b", "a"], COLOURS).attach(engine)
    for _ in range(2):
        engine.run([[sample], [section(1)[0]]])
    assert [(tag, step, form) for tag, _, step, form in writer.added] == [("validation", 1, "HWC")] * 2
    height, width = sample["label"].shape[1:]
    parts = [writer.added[0][1][:, start : start + width] for start in range(0, 5 * (width + 4), width + 4)]
    image, truth, prediction, _, errors = parts
    table = np.array([(0, 0, 250), (0, 200, 0)])
    assert image.shape == (height, width, 3)
    assert np.array_equal(truth, table[sample["label"][0]])
    assert np.array_equal(prediction, table[pred.argmax(0)])
    assert (errors[0, 0] == MISSED_COLOUR).all()
    assert ((errors == MISSED_COLOUR).all(-1).sum()) == 1
