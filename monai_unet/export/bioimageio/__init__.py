"""A BioImage.IO package: written, described, documented, and checked before it is kept."""
