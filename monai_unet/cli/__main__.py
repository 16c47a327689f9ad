"""`python -m monai_unet.cli`, the same as `monai-unet`."""

import sys

from monai_unet.cli import main

sys.exit(main())
