# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Take the network elsewhere
#
# A network as TorchScript, ONNX and a BioImage.IO package. Each file is compared with the network before it appears.
# ONNX and BioImage.IO need the extra `export`: `pip install "monai-unet[export]"`.

# %%
import json
import numpy as np
import onnxruntime
import tifffile
import torch

# %%
# !monai-unet data synthetic --sections 1 --size 512 --test-sections 0 --out section
# !monai-unet export --bundle isbi_compact --format onnx --out model.onnx --image section/train-volume.tif 2>&1 | tail -n 8

# %% [markdown]
# ## Run it without this package
#
# The file takes normalised grey values with a margin around them, and gives logits, 184 pixels smaller each way. The
# numbers are in its metadata.

# %%
session = onnxruntime.InferenceSession("model.onnx")
settings = json.loads(session.get_modelmeta().custom_metadata_map["monai_unet.json"])
print({name: settings[name] for name in list(settings)[:6]})

image = tifffile.imread("section/train-volume.tif").squeeze().astype(np.float32)
margin = 92
extra = -(len(image) + 2 * margin + 4) % 16  # valid sizes are 16 k - 4
# mirrored in one go: what lies behind the margin counts too, as pixels share what the network sees in blocks of 16
normalised = np.pad((image - 128) / 45, (margin, margin + extra), mode="reflect")
(logits,) = session.run(None, {"image": normalised[None, None]})
probability = torch.from_numpy(logits).softmax(1)[0, 1, :512, :512].numpy()

# %% [markdown]
# ## The same as here

# %%
# !monai-unet predict section/train-volume.tif --bundle isbi_compact --out here.ome.tif 2>&1 | tail -n 1
# !monai-unet predict section/train-volume.tif --bundle model.onnx --out there.ome.tif 2>&1 | tail -n 1
here, there = (tifffile.imread(f"{name}.ome.tif").squeeze() for name in ("here", "there"))
print("file through monai-unet:   ", np.abs(here - there).max())
print("file through onnxruntime:  ", np.abs(here - probability).max())

# %% [markdown]
# ## For Fiji, ilastik and the BioImage Model Zoo

# %%
# !monai-unet export --bundle isbi_compact --format bioimageio --out model.zip --image section/train-volume.tif 2>&1 | tail -n 10
# !unzip -l model.zip
