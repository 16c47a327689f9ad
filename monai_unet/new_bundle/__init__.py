"""Floor 3: make a bundle for a folder of images; the command `monai-unet new`."""

from monai_unet.new_bundle.create import NewBundle, new_bundle

__all__ = ["NewBundle", "new_bundle"]
