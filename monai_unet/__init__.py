"""The U-Net of Ronneberger, Fischer and Brox (2015) as a MONAI pipeline.

Imports point down the floors; this file imports nothing, as `import monai` alone takes seconds.

| floor | module | what lives there |
|---|---|---|
| 4 | `cli` | the command `monai-unet` |
| 3 | `data` | data sets: fetch, check, generate; the sections that the bundles train on |
| 3 | `prediction` | from file to file, larger than memory |
| 2 | `transforms`, `inferers`, `handlers` | weight map and augmentation; overlap-tile prediction; Ignite handlers |
| 1 | `networks`, `losses`, `metrics`, `io` | the network; the weighted loss; the challenge's metrics; files |
| 0 | `geometry` | sizes, margins, tile lattice, mirrored indices |
"""

__version__ = "0.1.0"
