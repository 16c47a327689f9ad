"""`monai-unet predict`: an image of any size."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from monai_unet.cli.options import knob_type, overrides_of, say
from monai_unet.errors import INTERRUPTED


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    predict = commands.add_parser(
        "predict",
        help="predict an image of any size",
        description="Predict an image of any size, tile by tile. The same command goes on where a run was stopped. "
        "Names of the bundle's inference.json may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    predict.add_argument(
        "image", metavar="INPUT", help="an image: TIFF, OME-Zarr, NIfTI, PNG, DICOM ... (docs/formats.md)"
    )
    predict.add_argument(
        "--bundle",
        required=True,
        metavar="BUNDLE",
        help="folder of the bundle, name of one that comes with the package (`monai-unet bundles`), or a file of "
        "`export`: .ts, .pt or .onnx",
    )
    predict.add_argument("--out", required=True, help=".ome.zarr, .ome.tif, .nii or .nii.gz")
    predict.add_argument(
        "--output",
        choices=("probability", "label", "instances", "image"),
        help="image, restored, is the only one of a network that restores images (default: that, or probability)",
    )
    predict.add_argument("--dtype", choices=("float32", "float16", "uint8"), help="of probabilities (default float32)")
    predict.add_argument(
        "--threshold", type=knob_type("threshold"), help="of labels and instances (default: the bundle's)"
    )
    predict.add_argument(
        "--min-size", type=knob_type("min_size"), metavar="N", help="drop smaller instances (default: the bundle's)"
    )
    predict.add_argument(
        "--memory", type=knob_type("memory"), help="that a worker process may take, as 2GB (default: the bundle's)"
    )
    predict.add_argument(
        "--objects",
        metavar="FILE.csv",
        help="table of the instances: place, size and mean probability of each (docs/outputs.md)",
    )
    predict.add_argument("--roi", metavar="[Z0:Z1,]Y0:Y1,X0:X1", help="predict this part only")
    predict.add_argument(
        "--device", type=knob_type("device"), help="where the network computes (default: a GPU where there is one)"
    )
    where = predict.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=knob_type("workers"), default=1, metavar="N", help="processes on this machine (default 1)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask scheduler, as tcp://10.0.0.1:8786")
    predict.set_defaults(run=_predict, overrides=True)


def _predict(args: argparse.Namespace) -> None:
    say(f"predicting {args.image} with {args.bundle}")
    from monai_unet.command import quoted
    from monai_unet.io.sources import is_image_folder
    from monai_unet.prediction.model_path import model_path

    image = Path(args.image)
    if not image.exists():
        raise FileNotFoundError(f"{args.image} does not exist")
    if image.is_dir() and not is_image_folder(image):
        raise ValueError(
            f"{args.image} is a folder and no image. Give one image at a time; all in a folder are predicted by python "
            f"-m monai.bundle run inference --config_file BUNDLE/inference.json --input_dir {quoted(args.image)} "
            "--output_dir RESULTS"
        )
    model_path(args.bundle)
    # now that what is typed wrong has been said, what takes seconds to load
    from monai_unet.io.zarr_store import label_path
    from monai_unet.prediction.out_of_core import predict

    _end_at_once("interrupted; what was predicted is kept, and the same command goes on")
    out = predict(
        args.image,
        args.out,
        args.bundle,
        overrides=overrides_of(args.others),
        output=args.output,
        dtype=args.dtype,
        threshold=args.threshold,
        min_size=args.min_size,
        memory=args.memory,
        roi=_roi(args.roi) if args.roi else None,
        workers=args.workers,
        scheduler=args.scheduler,
        device=args.device,
        objects=args.objects,
    )
    is_beside = out.suffix == ".zarr" and args.output in ("label", "instances")
    where = label_path(out, args.output) if is_beside else out
    print(f"{args.output or 'prediction'} of {args.image}: {where}")
    if args.objects:
        print(f"objects of {args.image}: {args.objects}")


def _end_at_once(line: str) -> None:
    """At Ctrl-C, say a line, and end within a second, though a tile is being computed that cannot be stopped."""
    import os
    import signal
    import threading

    def stop(*args: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f"\nmonai-unet: {line}", file=sys.stderr, flush=True)
        timer = threading.Timer(1.0, os._exit, [INTERRUPTED])
        timer.daemon = True
        timer.start()
        sys.exit(INTERRUPTED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
        # of worker processes, whose semaphores are then not freed one by one
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")


def _roi(text: str) -> list[tuple[int, int]]:
    try:
        parts = [tuple(int(number) for number in part.split(":")) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or any(len(part) != 2 for part in parts):
        raise ValueError(f"--roi {text}: expected Y0:Y1,X0:X1 or Z0:Z1,Y0:Y1,X0:X1, in pixels")
    return [(start, stop) for start, stop in parts]
