# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Images larger than memory
#
# A section of electron microscopy, predicted tile by tile by a network that comes with the package, in a memory that is
# given; stopped in the middle; gone on with; and looked at. The section is a synthetic one of 1500 x 1700 pixels, so
# that this page is quick: the same commands took 100,000 x 100,000 pixels.

# %%
import matplotlib.pyplot as plt
import numpy as np
import signal
import subprocess
import tifffile
import time
import zarr
from pathlib import Path

# %%
# !monai-unet data synthetic --sections 1 --size 1700 --test-sections 0 --out section
section = tifffile.imread("section/train-volume.tif")[..., :1500, :]
tifffile.imwrite("section.tif", section.squeeze(), resolution=(1e4 / 0.004, 1e4 / 0.004), resolutionunit="MICROMETER")

# %% [markdown]
# ## Predict, stop, go on
#
# The output is an OME-Zarr whose chunks are the tiles. Each is written whole or not at all, so whatever happens, the
# same command goes on where it was. `--memory` is what the process may take, 0.7 GB of it for Python and its packages.

# %%
tiles = Path("cells.ome.zarr", "0")
command = "monai-unet predict section.tif --bundle isbi_compact --out cells.ome.zarr --memory 900MB".split()
process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while process.poll() is None and not list(tiles.glob("c/*/*")):
    time.sleep(0.1)
process.send_signal(signal.SIGKILL)
process.wait()
print("killed after", len(list(tiles.glob("c/*/*"))), "tiles")

# %%
# !{" ".join(command)} 2>&1 | tail -n 1

# %% [markdown]
# ## A region is what it is in the whole
#
# Tiles lie on a lattice on which the network is exactly as if it had seen the whole image. So a part that is predicted
# by itself is that part of the whole.

# %%
# !monai-unet predict section.tif --bundle isbi_compact --out part.ome.zarr --memory 900MB --roi 600:900,200:700 2>&1 | tail -n 1
whole, part = (zarr.open(f"{name}.ome.zarr")["0"][:] for name in ("cells", "part"))
print("largest difference of a probability:", np.abs(whole.squeeze()[600:900, 200:700] - part.squeeze()).max())

# %% [markdown]
# ## Objects, numbered across tiles

# %%
# !monai-unet predict section.tif --bundle isbi_compact --out objects.ome.tif --output instances --min_size 50 --memory 900MB 2>&1 | tail -n 1
objects = tifffile.imread("objects.ome.tif").squeeze()
figure, axes = plt.subplots(1, 3, figsize=(12, 4.4))
window = (slice(500, 900), slice(500, 900))
axes[0].imshow(section.squeeze()[window], "gray")
axes[1].imshow(whole.squeeze()[window], "gray", vmin=0, vmax=1)
rng = np.random.default_rng(0)
colours = np.concatenate([[[0, 0, 0]], rng.uniform(0.2, 1, (objects.max(), 3))])
axes[2].imshow(colours[objects[window]])
titles = ("section", "probability of inside", f"objects ({objects.max()} in all)")
for axis, title in zip(axes, titles, strict=True):
    axis.set_title(title)
    axis.axis("off")
