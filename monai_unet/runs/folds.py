"""Train, score and put together a cross-validation: networks of which each leaves out other sections."""

from __future__ import annotations

import csv
import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from monai_unet.command import command_line
from monai_unet.data import folds_of, named, need, split_files
from monai_unet.handlers.find_values import MOST_SECTIONS, Section, find_values, predicted_sections
from monai_unet.io import one_writer, put_aside, write_found, written_aside
from monai_unet.networks import fold as folded
from monai_unet.networks import load_weights, num_members, read_weights, save_whole, together
from monai_unet.report import Fold, folds_csv, folds_page, folds_table
from monai_unet.runs.command import What, run, writable_bundle
from monai_unet.times import duration
from monai_unet.workflow import names_read

_SET_HERE = ("validation", "training_dir", "ckpt_path")
_NOTES = (
    "Every section is scored once, by the network that was not trained on it.",
    "A fold's weights are those of the epoch that scored best on the sections that it was not trained on, and the "
    "values by which labels are made were chosen on them: expect a little less on other images.",
    "The ensemble of all networks has no score here, as each section was trained on by some of them.",
)


def cross_validate(
    bundle: str | os.PathLike[str],
    number: int,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], Any] = print,
) -> Path:
    """Train a network for each fold, score it on the sections that it was not trained on, and put all together.

    Fold 2 is an ordinary training with its own `validation`, with weights in `ckpt_dir/fold_2` and curves in
    `output_dir/fold_2`. It resumes as every training does, so the same command goes on where it was stopped, and a fold
    that is done is not trained again. Then threshold, seed depth and smallest object are found on the predictions of
    all folds together, each section by the network that was not trained on it; the folds are evaluated by these values;
    and the networks become one file, `ckpt_dir/model.pt`, whose predictions are the mean of theirs.

    Args:
        bundle: its folder, or the name of one that comes with the package.
        number: of folds, 2 or more.
        overrides: names of the configs with other values. `training_sections` names those that take part; no network
            sees the others.
        say: takes a line.

    Returns:
        The file of the ensemble's weights.

    Raises:
        ValueError: when there are fewer sections than folds, an override does nothing here, and as the training.
        OSError: when another process writes there.
        RuntimeError: of MONAI, around what goes wrong in a config.
    """
    given = dict(overrides or {})
    folder = writable_bundle(bundle, "train", given)
    if not_ours := [name for name in _SET_HERE if name in given]:
        raise ValueError(f"--{not_ours[0]} does nothing with --folds, which set it: leave it out")
    train = _parser(folder, ("train",), given)
    files = train.get_parsed_content("files")
    need(files)
    sections, of_what = folds_of(files, number, given.get("training_sections"))
    places = {name: Path(train.get_parsed_content(name)) for name in ("ckpt_dir", "output_dir")}
    runs = [_overrides(given, sections, index, places) for index in range(number)]
    held_out = [named(split_files(files, each)[1]) for each in sections]
    model = places["ckpt_dir"] / "model.pt"
    with one_writer(model):
        say(f"{number} folds, blocks of {of_what} as neighbours look alike:")
        for index, names in enumerate(held_out, start=1):
            say(f"  fold {index} is scored on {names}")
        _train_all(folder, runs, say)
        found = _find_together(folder, runs, held_out)
        _keep(model, [Path(each["ckpt_dir"], "model.pt") for each in runs], found, say)
        values = {} if found is None else dict(found["values"])
        folds = [
            _evaluate(folder, each, index, names, values, given)
            for index, (each, names) in enumerate(zip(runs, held_out, strict=True), start=1)
        ]
    _report(folder, folds, places["output_dir"], model, values, say)
    return model


def _overrides(
    given: Mapping[str, Any], sections: Sequence[Sequence[int]], index: int, places: Mapping[str, Path]
) -> dict[str, Any]:
    """What makes a training that of one fold."""
    others = [section for other, block in enumerate(sections) if other != index for section in block]
    own = {name: str(place / f"fold_{index + 1}") for name, place in places.items()}
    return {**given, "validation": list(sections[index]), "training_sections": others, **own}


def _train_all(folder: Path, runs: Sequence[Mapping[str, Any]], say: Callable[[str], Any]) -> None:
    for index, overrides in enumerate(runs, start=1):
        say(f"\nfold {index} of {len(runs)}")
        is_new = not Path(overrides["ckpt_dir"], "checkpoint.pt").is_file()
        start = time.perf_counter()
        _run(folder, "train", overrides)
        left = len(runs) - index
        if left and is_new:
            took = time.perf_counter() - start
            say(f"fold {index} of {len(runs)} took {duration(took)}; at this pace, {duration(left * took)} are left")


def _run(folder: Path, what: What, overrides: Mapping[str, Any]) -> None:
    run(folder, what, overrides)
    gc.collect()  # the run's engines and handlers refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _find_together(folder: Path, runs: Sequence[Mapping[str, Any]], held_out: Sequence[str]) -> dict[str, Any] | None:
    """The values that suit the predictions of all folds, as `write_found` takes them; None where none are searched."""
    train = _parser(folder, ("train",), runs[0])
    if not any("FindValues" in str(each.get("_target_")) for each in train["train::handlers"]):
        return None
    predicted: list[Section] = []
    for overrides in runs:
        weights = str(Path(overrides["ckpt_dir"], "model.pt"))
        value = _parser(folder, ("train",), overrides).get_parsed_content
        network = value("network")
        load_weights(network, weights)
        network = folded(network).eval()
        most = max(MOST_SECTIONS // len(runs), 1)
        dataset, inferer = value("validate::dataset"), value("validate::inferer")
        predicted += predicted_sections(network, inferer, dataset, value("decoding"), value("device"), most)
    decoding = train.get_parsed_content("decoding")
    found, tried = find_values(predicted, decoding)
    return {
        "values": {name: getattr(found, name) for name in tried},
        "score": "SEG" if decoding.objects else "V_rand",
        "sections": f"{', '.join(held_out)}, each by the network that was not trained on it",
        "tried": tried,
    }


def _keep(model: Path, members: Sequence[Path], found: dict[str, Any] | None, say: Callable[[str], Any]) -> None:
    """Write the ensemble; a single network's weights that lie at its place get another name."""
    if model.is_file() and num_members(read_weights(model, shapes_alone=True)) == 1:
        say(f"{model} held the weights of one network; they are in {put_aside(model, 'single_model')} now")
    save_whole(together(members), model)
    if found is not None:
        write_found(model, found)


def _evaluate(
    folder: Path,
    overrides: Mapping[str, Any],
    index: int,
    held_out: str,
    values: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Fold:
    """Run the evaluation of a fold by the values of all folds, and read what it wrote."""
    weights = str(Path(overrides["ckpt_dir"], "model.pt"))
    wanted = {**values, **overrides, "ckpt_path": weights}
    parser = _parser(folder, ("train", "evaluate"), wanted)
    if "thresholds" in parser and "thresholds" not in given and "threshold" in values:
        wanted["thresholds"] = [given.get("threshold", values["threshold"])]  # one for all folds, as the ensemble's is
    config = _parser(folder, ("train", "evaluate"), wanted).get()
    read = names_read(config, ("initialize", "evaluating"), wanted)
    _run(folder, "evaluate", {name: wanted[name] for name in read})
    output = Path(overrides["output_dir"])
    lines = (output / "metrics.csv").read_text(encoding="utf-8").splitlines()
    scores = {name: float(score) for name, score in csv.reader(lines)}
    with (output / "sections.csv").open(encoding="utf-8", newline="") as file:
        rows = {row.pop("section"): {name: float(text) for name, text in row.items()} for row in csv.DictReader(file)}
    return Fold(f"fold {index}", held_out, scores, rows, f"{output.name}/report.html")


def _report(
    folder: Path,
    folds: Sequence[Fold],
    output_dir: Path,
    model: Path,
    values: Mapping[str, Any],
    say: Callable[[str], Any],
) -> None:
    facts = {
        "bundle": folder.resolve().name,
        "ensemble": str(model),
        "values": ", ".join(f"{name} {value:g}" for name, value in values.items()) or "the recipe's",
    }
    if typed := command_line():
        facts["command"] = typed
    page = folds_page(f"{len(folds)} folds of {folder.resolve().name}", facts, folds, _NOTES)
    for name, text in (("folds.csv", folds_csv(folds)), ("folds.html", page)):
        with written_aside(output_dir / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    table = folds_table(folds)
    wide = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    say("")
    for row in table:
        say(
            "  ".join(
                cell.rjust(width) if n else cell.ljust(width)
                for n, (cell, width) in enumerate(zip(row, wide, strict=True))
            )
        )
    say(f"\nreport: {output_dir / 'folds.html'}, and every section in {output_dir / 'folds.csv'}")
    say(f"the ensemble of {len(folds)} networks: {model}")


def _parser(folder: Path, configs: Sequence[str], overrides: Mapping[str, Any]) -> ConfigParser:
    """Configs of a bundle as they will be run."""
    parser = ConfigParser()
    parser.read_config([str(folder / "configs" / f"{name}.json") for name in configs])
    parser.update({"bundle_root": str(folder), **overrides})
    return parser
