# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Paint, train, look where it is unsure
#
# What the napari plugin (docs/napari.md) does when its buttons are pressed, called by hand: the functions work on arrays
# and files, and need no screen. In napari the strokes come from a brush; here they are short pieces of rows, painted as
# the truth has it. The image looks like electron microscopy and is made on the spot.

# %%
import matplotlib.pyplot as plt
import numpy as np
import tifffile
from pathlib import Path

from monai_unet.data import synthetic_sections
from monai_unet.viewer.painted import Painted
from monai_unet.viewer.predicting import Request, in_memory, least_sure_places, predict_visible
from monai_unet.viewer.prepare import prepare
from monai_unet.viewer.training import Training

images, truth = synthetic_sections(1, 512, seed=0)
image, inside = images[0], truth[0] > 0
tifffile.imwrite("membranes.tif", image)

# %% [markdown]
# ## Paint
#
# 0 is not painted, and weighs nothing. 1 is background, here the membranes, and 2 what is inside. A hundredth of the
# pixels is enough to begin with.

# %%
rng = np.random.default_rng(0)
strokes = np.zeros(image.shape, np.uint8)
for y, x in rng.integers(0, [505, 460], (25, 2)):
    strokes[y : y + 4, x : x + 30] = 1 + inside[y : y + 4, x : x + 30]


def show(axis, over, title):
    """The image with something over it."""
    axis.imshow(image, "gray")
    axis.imshow(over, "cool", alpha=0.5, interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")


figure, axis = plt.subplots(figsize=(5, 5))
show(axis, np.ma.masked_equal(strokes, 0), f"{100 * np.mean(strokes > 0):.1f} % of the pixels are painted")

# %% [markdown]
# ## Train
#
# `prepare` writes the painted image and a bundle for it, and `Training` runs MONAI's command in a process of its own. The
# first training starts from the weights of a bundle that comes with the package, made for cells in phase contrast: they
# have not seen membranes, but see edges. (The terms of those weights hold for what becomes of them, see `LICENSE`.)

# %%
run = prepare("membranes", [Painted("membranes", image, strokes)], "classes", iterations=60, start="phc_u373_compact")
steps = [step for step in Training(run).steps() if step.loss is not None]
print(run.story)
plt.figure(figsize=(5, 2))
plt.plot([step.iteration for step in steps], [step.loss for step in steps])
plt.xlabel("iteration")
plt.ylabel("loss")

# %% [markdown]
# ## Predict what is visible
#
# A part of the image, exactly as it will be in the whole: the tiles lie on the same lattice.

# %%
request = Request(Path("membranes.tif"), "membranes", "probability")
box = [(100, 400), (150, 500)]
(result,) = predict_visible(request, box)
part = np.full(image.shape, np.nan)
part[tuple(slice(*each) for each in box)] = in_memory(result.data)
right = (part > 0.5) == inside
figure, axis = plt.subplots(figsize=(5, 5))
show(axis, np.ma.masked_invalid(part), f"{100 * right[~np.isnan(part)].mean():.0f} % of the pixels are right")

# %% [markdown]
# ## Where to paint next
#
# Squares of 96 pixels by the mean entropy of the prediction, the least sure one first. In napari the view moves there.

# %%
places = least_sure_places(request, Path(), lambda: False)
figure, axis = plt.subplots(figsize=(5, 5))
axis.imshow(image, "gray")
for number, place in enumerate(places[:5], start=1):
    axis.add_patch(plt.Rectangle((place.x, place.y), place.size, place.size, fill=False, color="gold", linewidth=2))
    axis.text(place.x + 4, place.y + 24, f"{number}", color="gold", size=14)
axis.axis("off")
axis.set_title("the five places that it is least sure of")

# %% [markdown]
# ## Go on
#
# Paint more, and `prepare` again: the next training starts from the weights that there are. The folder is an ordinary
# bundle:

# %%
# !monai-unet predict membranes.tif --bundle membranes --output instances --out cells.ome.tif 2>&1 | tail -n 1
