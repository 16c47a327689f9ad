"""A trained network for other programs: TorchScript, ONNX, BioImage.IO, each compared with the network."""
