"""The U-Net of Ronneberger, Fischer and Brox (2015) as a MONAI pipeline.

Imports point down the floors; this file imports nothing, as `import monai` alone takes seconds.

| floor | module | what lives there |
|---|---|---|
| 4 | `cli` | the command `monai-unet` |
| 3 | `data` | data sets: fetch, check, generate; the sections that the bundles train on |
| 3 | `prediction`, `export` | from file to file, larger than memory; TorchScript, ONNX, BioImage.IO |
| 3 | `new_bundle`, `label`, `score` | a bundle for one's own images; MONAI Label; files against files |
| 2 | `transforms`, `inferers`, `handlers` | weight map and augmentation; overlap-tile prediction; Ignite handlers |
| 1 | `networks`, `losses`, `metrics`, `io` | the network; the weighted loss; the challenge's metrics; files |
| 1 | `report` | a page of pictures and scores |
| 0 | `geometry`, `errors`, `malloc` | sizes and tile lattice; how commands fail; what becomes of freed memory |
"""

__version__ = "0.1.0"
