"""From what a folder holds to the values of a config, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monai_unet.geometry import ValidGeometry
from monai_unet.io import COLOURS, Normalise, channel_names
from monai_unet.knobs import knobs
from monai_unet.recipes.survey import Survey

PAPER_TILE = 388
NOT_GIVEN = "not given"
ITERATIONS = 3000  # of a run; the shipped bundles have some 2400 to 10000
_BITS = {"uint8": (8,), "uint16": (16, 14, 12, 10, 8)}
# How much stronger one image's contrast may be than another's, and how far apart their brightness, in contrasts. Images
# of one camera stay below 2 and 0.4 with few cells or many, and at half and twice the gain that a network was
# trained at, it is better than one that normalises image by image (benchmarks/results/exposure_cpu_2026-11.md).
_WIDER, _APART = 3.0, 2.0
_COLOUR_VARIATION = 0.1  # benchmarks/results/colour_cpu_2026-11.md
_LOOKS = 60  # validations a run


@dataclass(frozen=True)
class Setting:
    """A value of a config, and where it comes from.

    Attributes:
        name: of a knob.
        value: that is set.
        finding: what the folder holds, for people to read.
        because: what follows from that, where there is more to say than the knob says of itself.
    """

    name: str
    value: Any
    finding: str
    because: str = ""

    @property
    def why(self) -> str:
        """What the knob is for, and what follows from the finding."""
        return "; ".join(filter(None, (knobs()[self.name].why, self.because)))


def choose_settings(
    survey: Survey,
    train: Mapping[str, Any],
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
    colours: str | None = None,
    normalise: Normalise | None = None,
    validate: bool = True,
) -> list[Setting]:
    """The settings for a folder.

    Args:
        survey: of `survey_folder`, without problems.
        train: the training config to start from; its network and batch size count.
        ignore_label: as it was given to `survey_folder`.
        partly_annotated: as it was given to `survey_folder`.
        colours: as they were given to `survey_folder`.
        normalise: as it is wanted; by the images when left out.
        validate: whether some sections are to validate; all train otherwise.
    """
    assert not survey.problems, "a folder with problems is refused before"
    exposure = _normalise(survey, normalise)
    settings = [
        _channels(survey),
        Setting("pages", survey.pages, "by the labels or as given" if survey.pages else NOT_GIVEN),
        exposure,
        *_numbers_of_all(survey, exposure.value == "dataset"),
        _classes(survey),
        _instances(survey),
        Setting("ignore_label", ignore_label, "as given" if ignore_label is not None else NOT_GIVEN),
        Setting("colours", colours, "labels in colour" if colours is not None else NOT_GIVEN),
        Setting("partly_annotated", list(partly_annotated), "as given" if partly_annotated else NOT_GIVEN),
    ]
    if survey.kind == "classes":
        settings.append(Setting("w0", 0.0, "a map of classes", "there are no borders between cells to learn"))
        settings.append(Setting("class_balance", True, "a map of classes", "rare classes count as much as common ones"))
    else:
        settings.append(_min_size(survey))
    if channel_names(survey.channels) == COLOURS:
        settings += _little_variation(train)
    return [*settings, _tile(survey, train), *_split_and_epochs(survey, train, validate)]


def rounded(mean: float, std: float) -> tuple[float, float]:
    """Mean and standard deviation with as many digits as matter: the deviation with three, the mean to a tenth of that.

    Example:
        >>> rounded(82.7342, 8.1377)
        (82.73, 8.14)
    """
    digits = 2 - math.floor(math.log10(std))
    numbers = round(mean, digits), round(std, digits)
    return numbers if digits > 0 else (int(numbers[0]), int(numbers[1]))


def in_words(values: Sequence[float]) -> str:
    """Numbers of each channel, as "82.73, 51.2"."""
    return ", ".join(f"{value:.4g}" for value in values)


def value_range(survey: Survey) -> tuple[float, float, str]:
    """Lowest and highest grey value that inference takes, and why.

    Of 8-bit images 0 to 255. Of 16-bit images 0 to 65535, or the next smaller range of a camera (14, 12, 10, 8 bit)
    that every section passes: `CheckImaged` takes an image that is darker than a 255th of the range for one that was
    scaled to 0 to 1. Of other types what was survey, with a quarter of it to spare on either side.
    """
    bits = _BITS.get(survey.dtypes[0], ())
    refused = "inference refuses images outside it, as their grey values are scaled differently"
    for number in bits:
        high = 2**number - 1
        if survey.brightest <= high < 255 * survey.dimmest:
            return (
                0,
                high,
                f"what {number} bits hold" + ("; " if number == bits[0] else ", as in all images; ") + refused,
            )
    if bits and survey.brightest > 1:
        dark = f"an image that ends at {survey.dimmest:g}, as one here, is taken for scaled to 0 to 1 and refused too"
        return 0, 2 ** bits[0] - 1, f"what {bits[0]} bits hold; {refused}; {dark}"
    slack = (survey.brightest - survey.darkest) / 4
    low = survey.darkest - slack
    low, high = (
        (0 if low < 0 <= survey.darkest else _outward(low, slack, -1)),
        _outward(survey.brightest + slack, slack, 1),
    )
    return low, high, f"as found and a quarter to spare; {refused}"


def _outward(value: float, slack: float, sign: int) -> float:
    unit = 10.0 ** (math.floor(math.log10(slack)) - 1)
    return float(f"{sign * math.ceil(sign * value / unit) * unit:.12g}")


def _value_range(survey: Survey) -> Setting:
    low, high, why = value_range(survey)
    return Setting(
        "value_range", [low, high], f"{survey.darkest:g} to {survey.brightest:g}, {', '.join(survey.dtypes)}", why
    )


def _channels(survey: Survey) -> Setting:
    if len(survey.channels) == 1:
        return Setting("channels", list(survey.channels), "one channel")
    found = f"{len(survey.channels)} channels"
    return Setting("channels", list(survey.channels), found, "the network takes all of them, each normalised by itself")


def _normalise(survey: Survey, given: Normalise | None) -> Setting:
    """By the exposures of the images: the same numbers for all, or those of each image, or of each section."""
    if given is not None:
        return Setting("normalise", given, "as given")
    # the numbers of a section without a cell are those of its noise
    sections = zip(survey.file_of_sections, survey.spreads, survey.labelled, strict=True)
    spreads = [(file, spread) for file, spread, is_labelled in sections if is_labelled]
    found, differ = _exposures([spread for _, spread in spreads])
    if not differ:
        because = "for images of other exposures, --normalise image"
        return Setting("normalise", "dataset", f"exposures that are alike, {found}", because)
    within = any(_exposures([spread for file, spread in spreads if file == one])[1] for one, _ in spreads)
    what = "section" if within else "image"
    return Setting("normalise", what, f"exposures that differ, {found}", f"so each {what} is normalised by itself")


def _exposures(spreads: Sequence[Sequence[tuple[float, float]]]) -> tuple[str, bool]:
    """How far the grey values of sections are apart, in words and of the worst channel, and whether that is far."""
    ends = np.array(spreads or [[(0.0, 0.0)]])  # (sections, channels, 2)
    widths, middles = ends[..., 1] - ends[..., 0], ends.mean(-1)
    found = []
    for width, middle in zip(widths.T, middles.T, strict=True):
        usable = width > 0  # sections of a single value say nothing
        if usable.any():
            ratio = float(width[usable].max() / width[usable].min())
            apart = float(np.ptp(middle[usable]) / np.median(width[usable]))
            found.append((max(ratio / _WIDER, apart / _APART), ratio, apart))
    share, ratio, apart = max(found, default=(0.0, 1.0, 0.0))
    text = f"contrast up to {ratio:.3g} times as strong, brightness up to {apart:.2g} contrasts apart"
    return text, share > 1


def _classes(survey: Survey) -> Setting:
    shares = ", ".join(
        f"{name} {100 * share:.2g} %" for name, share in zip(survey.classes, survey.class_shares, strict=True)
    )
    return Setting("classes", list(survey.classes), shares)


def _instances(survey: Survey) -> Setting:
    values = f"up to {survey.num_values} values a file, {len(survey.classes)} classes"
    why = {
        "instances": "more than two values: one integer per cell; cells that touch are kept apart",
        "masks": "two values: inside and outside; the cells are the connected parts",
        "classes": "one integer per class; scored by Dice, predicted as a map of classes",
    }[survey.kind]
    return Setting("instances", survey.kind == "instances", values, f"{why} (--labels says otherwise)")


def _min_size(survey: Survey) -> Setting:
    sizes = sorted(size for section in survey.cell_sizes for size in section)
    median = sizes[len(sizes) // 2]
    smallest = max(median // 10, 1)
    dropped = sum(size < smallest for size in sizes)
    found_text = f"{_counted(len(sizes), 'cell')} of {sizes[0]} to {sizes[-1]} px, median {median}"
    why = "a tenth of the median cell: smaller objects are taken for noise"
    if dropped:
        why += f"; {dropped} of the labelled cells are smaller and would be dropped: lower it if they are real"
    return Setting("min_size", smallest, found_text, why)


def _numbers_of_all(survey: Survey, used: bool) -> list[Setting]:
    """Of the data set; they do nothing where images are normalised by themselves, and are not shown then."""
    numbers = [rounded(mean, std) for mean, std in zip(survey.mean, survey.std, strict=True)]
    means, stds = ([pair[part] for pair in numbers] for part in (0, 1))
    many = len(numbers) > 1
    hot = "without the 0.1 % at either end, for hot pixels"
    settings = [
        Setting("image_mean", means if many else means[0], f"mean {in_words(survey.mean)}"),
        Setting("image_std", stds if many else stds[0], f"std {in_words(survey.std)}", hot),
        _value_range(survey),
    ]
    return settings if used else [Setting(each.name, each.value, NOT_GIVEN) for each in settings]


def _little_variation(train: Mapping[str, Any]) -> list[Setting]:
    """Of brightness and contrast, which vary in each channel by itself."""
    why = "how strong a colour is tells stains apart, and hardly varies so"
    return [
        Setting(name, min(_COLOUR_VARIATION, train[name]), "red, green and blue", why)
        for name in ("grey_scale", "grey_shift")
        if name in train
    ]


def _tile(survey: Survey, train: Mapping[str, Any]) -> Setting:
    geometry = ValidGeometry(len(train["features"]) - 1, train["convs_per_block"])
    longest = max(survey.largest)
    size = f"{' x '.join(map(str, survey.smallest))} to {' x '.join(map(str, survey.largest))} px"
    if survey.smallest == survey.largest:
        size = f"{' x '.join(map(str, survey.smallest))} px"
    tile = geometry.output_size(geometry.input_size_for(longest))
    if tile < PAPER_TILE:
        return Setting("tile", tile, size, "the smallest output of the network that holds every section whole")
    return Setting("tile", PAPER_TILE, size, "as in the paper; a random part of a section every time")


def _split_and_epochs(survey: Survey, train: Mapping[str, Any], validate: bool) -> list[Setting]:
    validation, how = choose_validation(survey) if validate else (0, "all of them train")
    num_validation = validation if isinstance(validation, int) else len(validation)
    last = range(survey.num_sections - num_validation, survey.num_sections)
    validating = {survey.file_of_sections[section] for section in (last if isinstance(validation, int) else validation)}
    if sum(survey.sections_of_files[file] for file in validating) > num_validation:
        how += "; they share a file with training sections, which look alike: expect lower scores on another image"
    num_training = survey.num_sections - num_validation
    epochs = max(round(ITERATIONS / math.ceil(num_training / train["batch_size"])), 1)
    return [
        Setting(
            "validation",
            validation,
            f"{_counted(survey.num_sections, 'section')}, {_counted(len(survey.names), 'file')}",
            how,
        ),
        Setting(
            "epochs",
            epochs,
            _counted(num_training, "training section"),
            f"some {ITERATIONS} iterations, one tile of every section an epoch",
        ),
        Setting(
            "val_interval",
            _interval(max(round(epochs / _LOOKS), 1), train["val_interval"]),
            _counted(epochs, "epoch"),
            f"some {_counted(min(_LOOKS, epochs), 'look')} at the validation sections",
        ),
        _patience(train),
    ]


def _patience(train: Mapping[str, Any]) -> Setting:
    """Early stopping where the learning rate stays: where it falls to 0, the last epochs are those that count."""
    if train["decay"]:
        why = (
            "most of the last gain comes while the rate falls, so an early end would cut it off; fewer --epochs do not"
        )
        return Setting("patience", None, "a learning rate that falls to 0 with the last epoch", why)
    patience = _LOOKS // 3
    return Setting("patience", patience, "a learning rate that stays", f"a third of {_LOOKS} looks")


def _interval(number: int, template: int | str) -> int | str:
    """The interval in the words of the config to start from, which cap it at the number of epochs."""
    return re.sub(r"^\$min\(\d+,", f"$min({number},", template) if isinstance(template, str) else number


def choose_validation(survey: Survey) -> tuple[int | list[int], str]:
    """What `validation` is to be, and why.

    A quarter of the files where there are four or more, else of the sections, rounded, one at least. It is a block,
    since neighbours in a stack or film look alike: the last one, or the last one before that for which both parts have
    every class, where the last one has not.
    """
    by_files = len(survey.names) >= 4
    units = list(survey.sections_of_files) if by_files else [1] * survey.num_sections
    number = max(math.floor(len(units) / 4 + 0.5), 1)
    starts = [sum(units[:index]) for index in range(len(units) + 1)]
    taken = starts[-1] - starts[-1 - number]
    files = ", whole files" if by_files and max(units) > 1 else ""
    last = (f"the last {_counted(taken, 'section')}" if taken > 1 else "the last section") + files
    for first in range(len(units) - number, -1, -1):
        chosen = range(starts[first], starts[first + number])
        rest = [index for index in range(survey.num_sections) if index not in chosen]
        if all(_covers(survey, part) for part in (chosen, rest)):
            if first == len(units) - number:
                return len(chosen), f"{last}: a block, as neighbours look alike"
            block = f"a block of {_counted(len(chosen), 'section')}{files}"
            return list(chosen), f"{block} in which every class occurs, as in the rest"
    return taken, f"{last}; no such block has every class in it and in the rest: choose --validation yourself"


def _counted(number: int, what: str) -> str:
    """How many there are, in words, as "1 section" and "2 sections"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _covers(survey: Survey, sections: Sequence[int]) -> bool:
    return all(
        any(survey.class_pixels[section][index] for section in sections) for index in range(1, len(survey.classes))
    )
