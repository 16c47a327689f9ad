"""The U-Net of Ronneberger, Fischer and Brox (2015) as a MONAI pipeline.

docs/architecture.md is the map of the package. This file imports nothing, as `import monai` alone takes seconds.
"""

__version__ = "0.1.0"
