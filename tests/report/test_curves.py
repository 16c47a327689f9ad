import io

import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from monai_unet.report import draw_curve, read_curves


def write(folder, name, points, tag="v_rand"):
    """An event file; the names order them, as times do."""
    with SummaryWriter(str(folder / "writing")) as writer:
        for step, value in points:
            writer.add_scalar(tag, value, step)
    (file,) = (folder / "writing").iterdir()
    return file.rename(folder / f"events.out.tfevents.{name}")


def test_a_run_that_went_on_repeats_no_step_and_the_later_value_counts(tmp_path):
    write(tmp_path, "1", [(1, 0.1), (2, 0.2), (3, 0.3)])
    write(tmp_path, "2", [(2, 0.5), (3, 0.75), (4, 1.0)])
    steps, values = read_curves(tmp_path)["v_rand"]
    assert steps.tolist() == [1, 2, 3, 4]
    assert np.allclose(values, [0.1, 0.5, 0.75, 1.0])


def test_a_run_that_started_anew_replaces_all_of_the_one_before(tmp_path):
    write(tmp_path, "1", [(5, 0.1), (10, 0.2), (15, 0.3)])
    write(tmp_path, "2", [(5, 0.5)])
    assert read_curves(tmp_path)["v_rand"][0].tolist() == [5]


def test_more_values_are_read_than_tensorboard_samples(tmp_path):
    write(tmp_path, "1", [(step, 0.0) for step in range(12_000)])
    assert len(read_curves(tmp_path)["v_rand"][0]) == 12_000


def test_losses_come_first(tmp_path):
    write(tmp_path, "1", [(1, 0.1)], tag="dice")
    write(tmp_path, "2", [(1, 0.1)], tag="train_loss")
    assert list(read_curves(tmp_path)) == ["train_loss", "dice"]


def test_a_file_that_was_cut_off_gives_what_is_whole(tmp_path):
    file = write(tmp_path, "1", [(step, 0.5) for step in range(10)])
    file.write_bytes(file.read_bytes()[:-5])
    assert read_curves(tmp_path)["v_rand"][0].tolist() == list(range(9))


def test_no_folder_and_no_events_are_no_curves(tmp_path):
    assert read_curves(tmp_path) == {}
    assert read_curves(tmp_path / "missing") == {}


def test_a_curve_is_a_picture_with_something_in_it_and_global_settings_stay(tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams), mpl.get_backend(auto_select=False)
    for name in ("train_loss", "v_rand"):
        drawn = draw_curve(name, np.arange(200), np.linspace(0, 1, 200))
        picture = np.asarray(Image.open(io.BytesIO(drawn)).convert("L"))
        assert picture.shape == (560, 840)
        assert (picture < 128).sum() > 500
    assert (dict(mpl.rcParams), mpl.get_backend(auto_select=False)) == before


def test_the_best_value_is_marked_where_it_is():
    values = np.array([0.5, np.nan, 0.9, 0.1])
    assert draw_curve("v_rand", np.arange(4), values) != draw_curve("v_rand", np.arange(4), values, False)


def dark(png):
    """Where a picture has ink."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 128


def test_a_single_loss_is_a_point():
    inside = (slice(60, 420), slice(200, 800))  # of the axes
    assert dark(draw_curve("train_loss", np.array([10]), np.array([0.5])))[inside].sum() > 20


@pytest.fixture
def axis(monkeypatch):
    """The numbers at the axis of a curve."""
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kwargs: drawn.append(figure) or save(figure, *args, **kwargs)
    )

    def numbers(name, steps):
        draw_curve(name, np.array(steps), np.ones(len(steps)))
        (axes,) = drawn[-1].axes
        low, high = axes.get_xlim()
        return [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]

    return numbers


@pytest.mark.parametrize(
    ("steps", "numbers"),
    [([2], ["2"]), ([1, 2], ["1", "2"]), ([5, 10, 15, 17], ["5", "10", "15", "17"]), ([10], ["10"])],
)
@pytest.mark.parametrize("name", ["v_rand", "train_loss"])
def test_few_steps_are_numbered_as_they_are(axis, name, steps, numbers):
    assert axis(name, steps) == numbers


def test_many_steps_are_numbered_in_whole_numbers(axis):
    assert axis("v_rand", range(1, 13)) == ["2", "4", "6", "8", "10", "12"]


def test_values_that_are_all_nan_are_said_to_be_none():
    for name in ("train_loss", "v_rand"):
        empty = draw_curve(name, np.arange(3), np.full(3, np.nan))
        assert dark(empty)[200:320, 300:700].sum() > 100  # the words
