"""The channels that a network takes, out of what a file has: by name, by number, or a file for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource

ONE_CHANNEL = ("image",)
"""The channels of a grey image."""

COLOURS = ("red", "green", "blue")
"""The channels of a colour image."""

Pages = Literal["sections", "channels"]


@dataclass(frozen=True)
class Channel:
    """A channel that a network takes.

    Attributes:
        name: of the channel.
        where: its number in a file, counted from 0; the name that it has there; or a pattern of the files that hold it,
            with a star for what the files of one image have in common. By `name`, or in order, when None.
    """

    name: str
    where: int | str | None = None

    @property
    def pattern(self) -> str | None:
        """Of the files that hold it alone; None when it lies in one file with the others."""
        return self.where if isinstance(self.where, str) and "*" in self.where else None

    def __str__(self) -> str:
        return self.name if self.where is None else f"{self.name}={self.where}"


def parse_channels(channels: str | Sequence[str]) -> tuple[Channel, ...]:
    """Channels as they are written in an option or a config.

    Args:
        channels: each a NAME, NAME=NUMBER, NAME=NAME_IN_THE_FILE, NUMBER, or NAME=PATTERN of files; a list of them, or
            one text with commas between them.

    Raises:
        ValueError: when one is empty, a name is there twice, or some have a pattern of files and others have none.

    Example:
        >>> [str(channel) for channel in parse_channels("dapi=*_w1.tif,actin=*_w2.tif")]
        ['dapi=*_w1.tif', 'actin=*_w2.tif']
        >>> parse_channels(["2"])
        (Channel(name='channel_2', where=2),)
    """
    texts = channels.split(",") if isinstance(channels, str) else [str(each) for each in channels]
    parsed = []
    for text in texts:
        name, equals, where = (part.strip() for part in text.partition("="))
        if not name or (equals and not where):
            raise ValueError(f"channels {channels!r}: expected names, as DAPI,actin or DAPI=0 or dapi=*_w1.tif")
        if not equals and name.isdecimal():
            name, where = f"channel_{name}", name
        parsed.append(Channel(name, int(where) if where.isdecimal() else where or None))
    names = [channel.name for channel in parsed]
    if len(set(names)) < len(names):
        raise ValueError(f"channels {channels!r}: expected different names")
    stars = [channel.pattern.count("*") if channel.pattern else 0 for channel in parsed]
    if any(stars) and set(stars) != {1}:
        raise ValueError(
            f"channels {channels!r}: expected a pattern of files with one star for each of the channels, or for none"
        )
    return tuple(parsed)


def channel_names(channels: str | Sequence[str]) -> tuple[str, ...]:
    """The names of channels, see `parse_channels`."""
    return tuple(channel.name for channel in parse_channels(channels))


def in_files(channels: Sequence[Channel]) -> bool:
    """Whether each channel lies in a file of its own."""
    return any(channel.pattern for channel in channels)


def common_part(path: str | Path, pattern: str) -> str | None:
    """What stands for the star of a pattern in the name of a file; None where it does not fit.

    Example:
        >>> common_part("images/a_w1.tif", "*_w1.tif")
        'a'
    """
    before, _, after = pattern.partition("*")
    name = Path(path).name
    fits = len(name) > len(before) + len(after) and name.startswith(before) and name.endswith(after)
    return name[len(before) : len(name) - len(after)] if fits else None


def files_of(path: str | os.PathLike[str], channels: Sequence[Channel]) -> list[Path]:
    """The files that hold the channels of an image, one for each.

    Args:
        path: the file of one of its channels.
        channels: with patterns.

    Raises:
        ValueError: when the file fits none of the patterns.
    """
    path = Path(path)
    for channel in channels:
        if (common := common_part(path, str(channel.pattern))) is not None:
            return [path.with_name(str(each.pattern).replace("*", common)) for each in channels]
    raise ValueError(f"{path} is none of the channels {', '.join(map(str, channels))}: its name fits no pattern")


class PagesAs(ImageSource):
    """An image whose pages, of one channel each, are sections or channels as one says, whatever the file says."""

    def __init__(self, source: ImageSource, pages: Pages) -> None:
        self._source, self._pages = source, pages
        super().__init__(source.path)

    def _open(self) -> None:
        """Nothing: the source opens its file itself."""

    def _describe(self) -> ImageInfo:
        info = self._source.info
        depth, height, width = info.shape
        if self._pages == "channels":
            return replace(info, shape=(1, height, width), channels=depth, ndim=2, affine=None, pages_named=True)
        return replace(
            info, shape=(info.channels, height, width), channels=1, ndim=3, channel_names=(), pages_named=True
        )

    def _stored_bytes(self, enough: int) -> int:
        return self._source._stored_bytes(enough)

    def _read(self, box: Box) -> np.ndarray:
        sections, rows, columns = box
        if self._pages == "channels":
            depth = self._source.info.shape[0]
            everything = self._source.read((slice(0, depth), rows, columns))
            return everything.swapaxes(0, 1)[:, : sections.stop - sections.start]
        return self._source.read((slice(0, 1), rows, columns)).swapaxes(0, 1)[:, sections]


class Chosen(ImageSource):
    """Some of the channels of an image, in an order of one's own."""

    def __init__(self, source: ImageSource, numbers: Sequence[int], names: Sequence[str]) -> None:
        self._source, self._numbers, self._names = source, list(numbers), tuple(names)
        super().__init__(source.path)

    def _open(self) -> None:
        """Nothing: the source opens its file itself."""

    def _describe(self) -> ImageInfo:
        return replace(self._source.info, channels=len(self._numbers), channel_names=self._names)

    def _stored_bytes(self, enough: int) -> int:
        return self._source._stored_bytes(enough)

    def _read(self, box: Box) -> np.ndarray:
        return self._source.read(box)[self._numbers]


class Joined(ImageSource):
    """Several files of one image, a channel each."""

    def __init__(self, sources: Sequence[ImageSource], names: Sequence[str]) -> None:
        self._sources, self._names = list(sources), tuple(names)
        super().__init__(sources[0].path)

    @property
    def files(self) -> tuple[Path, ...]:
        """Of all channels."""
        return tuple(file for source in self._sources for file in source.files)

    def _open(self) -> None:
        """Nothing: the sources open their files themselves."""

    def _describe(self) -> ImageInfo:
        first = self._sources[0].info
        for info in (source.info for source in self._sources):
            if info.channels != 1:
                raise ValueError(f"{info.path} has {info.channels} channels; expected the one channel of its name")
            if (info.shape, info.dtype) != (first.shape, first.dtype):
                raise ValueError(
                    f"{info.path} has the shape {info.shape} and type {info.dtype}, and {first.path}, another channel "
                    f"of the same image, {first.shape} and {first.dtype}; expected the same"
                )
        return replace(first, channels=len(self._sources), channel_names=self._names)

    def _stored_bytes(self, enough: int) -> int:
        return sum(source._stored_bytes(enough) for source in self._sources)

    def _read(self, box: Box) -> np.ndarray:
        return np.concatenate([source.read(box) for source in self._sources])


def with_channels(source: ImageSource, channels: Sequence[Channel]) -> ImageSource:
    """The channels that are wanted, out of those of an image.

    By number, or by name, where the file's names tell; else as they are, where the file has as many.

    Raises:
        ValueError: when the file has no such channel, or another number of channels; with what would work.
    """
    info, names = source.info, [channel.name for channel in channels]
    has = info.channel_names
    wanted = [name if channel.where is None else channel.where for channel, name in zip(channels, names, strict=True)]
    if all(isinstance(each, int) or each in has for each in wanted):
        numbers = [each if isinstance(each, int) else has.index(each) for each in wanted]
        if max(numbers) >= info.channels:
            raise ValueError(f"{source.path} {_has(info)}; {max(numbers)} was asked for, counted from 0")
        is_all = numbers == list(range(info.channels))
        return source if is_all and has == tuple(names) else Chosen(source, numbers, names)
    missing = [channel.where for channel in channels if isinstance(channel.where, str) and channel.where not in has]
    if missing:
        raise ValueError(f"{source.path} {_has(info)}; {missing[0]!r} was asked for, and is none of them")
    if info.channels != len(channels):
        raise ValueError(_another_number(source, channels))
    return Chosen(source, range(info.channels), names)


def _has(info: ImageInfo) -> str:
    number = f"has {info.channels} channel{'s' if info.channels > 1 else ''}"
    return f"{number} ({', '.join(info.channel_names)})" if info.channel_names else number


def _another_number(source: ImageSource, channels: Sequence[Channel]) -> str:
    """What was found and what would work, for an error."""
    info, taken = source.info, ", ".join(channel.name for channel in channels)
    depth, height, width = info.shape
    sections = "1 section" if depth == 1 else f"{depth} sections"
    found = f"{source.path} {_has(info)} and {sections} of {height} x {width} pixels"
    number = f"{len(channels)} channel{'s' if len(channels) > 1 else ''}"
    expected = f"expected {number} ({taken})"
    if len(channels) == 1:
        name = f"{channels[0].name}={info.channel_names[0] if info.channel_names else 0}"
        choose = f"--channels {name} takes the first one"
        if is_unsure(info):
            return f"{found}; {expected}: if its channels are sections, give --pages sections; if not, {choose}"
        return f"{found}; {expected}: {choose}; or make it grey, or train on all of them"
    if info.channels == 1 and info.shape[0] == len(channels) and not info.pages_named:
        return (
            f"{found}, or does not say that its pages are channels; {expected}: if they are, give --pages channels; if "
            "they are sections, their other channels are missing"
        )
    choose = f'choose them, --channels "{",".join(f"{channel.name}=NUMBER" for channel in channels)}"'
    return f"{found}; {expected}" + (f": {choose}" if info.channels > len(channels) else "")


def is_unsure(info: ImageInfo) -> bool:
    """Whether what a file calls its channels may be sections: programs mix them up where each is a plane by itself."""
    return info.channels > 1 and info.shape[0] == 1 and info.channels_in != "pixels"


def as_pages(source: ImageSource, pages: Pages | None) -> ImageSource:
    """An image whose pages are what one says that they are; as the file says when None.

    Raises:
        ValueError: when pages cannot be that: those of several sections and channels at once are what the file says.
    """
    info = source.info
    if pages == "channels" and info.channels == 1:
        return PagesAs(source, "channels")
    if pages == "sections" and info.channels > 1 and info.channels_in != "pixels":
        if info.shape[0] > 1:
            raise ValueError(
                f"{source.path} has {info.channels} channels and {info.shape[0]} sections: --pages sections does not "
                "say which are which; choose channels, --channels NAME=NUMBER"
            )
        return PagesAs(source, "sections")
    return source
