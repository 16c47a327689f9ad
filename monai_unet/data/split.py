"""Which sections train and which validate."""

from __future__ import annotations

from collections.abc import Sequence


def split_sections(
    count: int, validation: float | int | Sequence[int] = 0.2, training: Sequence[int] | None = None
) -> tuple[list[int], list[int]]:
    """Which sections train and which validate, by whole sections.

    Args:
        count: number of sections.
        validation: the sections that validate, counted from 0; or their share (0.25) or their number (4), and the last
            ones validate, as neighbours in a stack look alike and a block of them is the harder test. With 0 all train.
        training: the sections that train; all others when left out.

    Returns:
        (training, validation), both in ascending order; at least one section trains.

    Raises:
        ValueError: when none would train, or a section is in both or does not exist.

    Example:
        >>> split_sections(6, 0.2)
        ([0, 1, 2, 3, 4], [5])
    """
    if isinstance(validation, str):
        raise ValueError(
            f"validation {validation!r}: expected a share, a number or a list of sections, as 0.25, 4 or [20,21]"
        )
    if isinstance(validation, (int, float)):
        if validation < 0:
            raise ValueError(f"validation {validation} is negative; {-validation} takes the last ones, 0 none")
        number = validation if isinstance(validation, int) else max(round(count * validation), int(validation > 0))
        chosen = list(range(count - number, count))
    else:
        chosen = sorted(set(validation))
    rest = sorted(set(range(count)) - set(chosen)) if training is None else sorted(set(training))
    both = sorted(set(rest) & set(chosen))
    beyond = [index for index in rest + chosen if not 0 <= index < count]
    if both or beyond or not rest:
        raise ValueError(
            f"training sections {rest} and validation sections {chosen} do not split {count} sections (0 to "
            f"{count - 1}): at least one has to train, none may be in both"
        )
    return rest, chosen


def check_processes(processes: int, sections: int) -> None:
    """Check at the start that each process has a validation section.

    Raises:
        ValueError: when there are fewer sections than processes.
    """
    if sections < processes:
        raise ValueError(
            f"{processes} processes have {sections} sections to validate on, and each needs one: start {sections} "
            f"processes or fewer, or give more sections, as --validation {processes}"
        )


def blocks(sizes: Sequence[int], number: int) -> list[range]:
    """Cut a row of things into blocks of about the same total size, in their order.

    Args:
        sizes: of the things.
        number: of blocks.

    Returns:
        The indices of each block; none is empty.

    Raises:
        ValueError: when there are fewer things than blocks.

    Example:
        >>> blocks([1, 1, 1, 1, 1], 2), blocks([9, 1, 1, 1], 2)
        ([range(0, 3), range(3, 5)], [range(0, 1), range(1, 4)])
    """
    if not 1 <= number <= len(sizes):
        raise ValueError(f"{len(sizes)} cannot be cut into {number} blocks")
    ends = [0]
    before = [sum(sizes[:index]) for index in range(len(sizes) + 1)]
    for block in range(1, number):
        choices = range(ends[-1] + 1, len(sizes) - (number - block) + 1)
        wanted = before[-1] * block / number
        ends.append(min(choices, key=lambda index: (abs(before[index] - wanted), -index)))
    return [range(start, stop) for start, stop in zip(ends, [*ends[1:], len(sizes)], strict=True)]
