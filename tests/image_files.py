"""Files of the kinds that take more than a line to write."""

import struct

import numpy as np
import pytest
import SimpleITK


def write_series(folder, array, series="1.2.3.4", step=2.0, places=None, tags=None):
    """A DICOM series, a file for each section of (D, H, W), written in the reverse order of their places in space."""
    folder.mkdir(exist_ok=True)
    places = [30 + step * z for z in range(len(array))] if places is None else places
    for number, z in enumerate(reversed(range(len(array)))):
        image = SimpleITK.GetImageFromArray(array[z][None], isVector=array.ndim == 4)
        image.SetSpacing((0.5, 0.7, step))
        said = {
            "0020|000e": series,
            "0020|000d": "1.2.3",
            "0020|0013": str(number + 1),
            "0020|0032": f"10\\-20\\{places[z]}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0008|0060": "CT",
            "0008|103e": "a scan",
            **(tags or {}),
        }
        for key, value in said.items():
            if value is not None:
                image.SetMetaData(key, value)
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{series}_{number}.dcm"))
        writer.Execute(image)
    return folder


def write_n5(folder, array, **attributes):
    """An N5 dataset; the axes of `array` are in array order, those of the attributes in N5's."""
    tensorstore = pytest.importorskip("tensorstore", reason="needs the extra `formats`")
    metadata = {
        "dimensions": list(array.shape[::-1]),
        "blockSize": [min(size, 32) for size in array.shape[::-1]],
        "dataType": str(array.dtype),
        "compression": {"type": "gzip"},
        **attributes,
    }
    kept = {"driver": "file", "path": str(folder)}
    made = tensorstore.open({"driver": "n5", "kvstore": kept, "metadata": metadata}, create=True).result()
    made.write(array.T).result()
    return folder


def write_czi(path, array, scenes=1, times=1, names=("DAPI", "GFP"), **sizes):
    """A CZI of (C, D, H, W), or of colours (C, D, H, W, 3); the second scene is the same, turned by half."""
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs the extra `formats`")
    path.unlink(missing_ok=True)
    with czi.create_czi(str(path)) as file:
        for scene, time, channel, z in np.ndindex(scenes, times, *array.shape[:2]):
            section = array[channel, z]
            pixels = section if section.ndim == 3 else section[..., None]
            turned = np.ascontiguousarray(pixels[:: -1 if scene else 1, :: -1 if scene else 1])
            where = {"scene": scene, "location": (1000 * scene, 0)} if scenes > 1 else {}
            file.write(data=turned, plane={"C": channel, "Z": z, "T": time}, **where)
        known = {f"scale_{axis}": size for axis, size in sizes.items()}
        file.write_metadata("a", channel_names=dict(enumerate(names[: len(array)])), **known)
    return path


_LIF = """<LMSDataContainerHeader Version="2"><Element Name="a" Visibility="1" UniqueID="0"><Data/>
<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children>{images}</Children></Element></LMSDataContainerHeader>"""
_LIF_IMAGE = """<Element Name="{name}" Visibility="1" UniqueID="{name}"><Data><Image TextDescription="">
<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>
<Memory Size="{size}" MemoryBlockID="MemBlock_{name}"/><Children/></Element>"""


def write_lif(path, images):
    """A LIF of images by their names, (C, D, H, W), 16 bits, pixels of 0.1 x 0.2 x 0.5 micrometres (x, y, z)."""
    described, blocks = [], []
    for name, array in images.items():
        _, depth, height, width = array.shape
        plane = 2 * height * width
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="1"'
            f' Unit="" LUTName="{colour}" IsLUTInverted="0" BytesInc="{c * depth * plane}" BitInc="0"/>'
            for c, colour in zip(range(len(array)), ("Green", "Red"), strict=False)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{size}" Origin="0" Length="{step * (size - 1)}"'
            f' Unit="m" BitInc="0" BytesInc="{increment}"/>'
            for axis, size, step, increment in (
                (1, width, 0.1e-6, 2),
                (2, height, 0.2e-6, 2 * width),
                (3, depth, 0.5e-6, plane),
            )
        )
        described.append(_LIF_IMAGE.format(name=name, channels=channels, dimensions=dimensions, size=array.nbytes))
        blocks.append((f"MemBlock_{name}", array.astype("<u2").tobytes()))
    text = _LIF.format(images="".join(described))
    content = struct.pack("<IIBI", 0x70, 5 + 2 * len(text), 0x2A, len(text)) + text.encode("utf-16-le")
    for identity, data in [("MemBlock_0", b""), *blocks]:
        head = struct.pack("<BQBI", 0x2A, len(data), 0x2A, len(identity)) + identity.encode("utf-16-le")
        content += struct.pack("<II", 0x70, len(head)) + head + data
    path.write_bytes(content)
    return path
