"""The one recipe of all bundles, and a bundle for a folder of one's own images."""
