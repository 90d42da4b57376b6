# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from endoforge.errors import DataError
from endoforge.frames.media.pictures import read_picture
from endoforge.frames.media.pixels import display_values, read_pixels, unit_values
from frames.media.samples import tissue

DEEP = (tissue().astype(np.uint16) * 257) ^ np.uint16(1)
FLOAT = (tissue() / 100).astype(np.float32)


def write_cv(path, pixels):
    if path.suffix == ".exr":
        names = "RGB" if pixels.ndim == 3 else "Y"
        parts = {
            n: np.ascontiguousarray(pixels.reshape(72, 96, -1)[..., k]) for k, n in enumerate(names)
        }
        with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, parts) as file:
            file.write(str(path))
        return path
    order = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    assert cv2.imwrite(str(path), np.ascontiguousarray(order))
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_every_bit_and_channel(tmp_path, name, channels):
    pixels = DEEP if channels == 3 else DEEP[..., 0]
    found = read_pixels(write_cv(tmp_path / name, pixels))
    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels.reshape(72, 96, channels))


@pytest.mark.parametrize("name", ["a.tiff", "a.exr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_pictures_keep_their_values(tmp_path, name, channels):
    pixels = FLOAT if channels == 3 else FLOAT[..., 0]
    found = read_pixels(write_cv(tmp_path / name, pixels))
    assert found.dtype == np.float32
    assert found.shape == (72, 96, channels)
    assert np.allclose(found, pixels.reshape(found.shape), rtol=2e-3)  # EXR may store halves


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [0, 1, 5])
def test_an_array_of_any_channel_count_is_read(tmp_path, kind, channels):
    shape = (7, 9, channels) if channels else (7, 9)
    array = np.random.default_rng(0).uniform(0, 200, shape).astype(kind)
    np.save(tmp_path / "a.npy", array)
    found = read_pixels(tmp_path / "a.npy")
    assert found.dtype == (np.float32 if "float" in kind else kind)
    assert np.allclose(found, array.reshape(7, 9, max(channels, 1)), rtol=1e-6)


@pytest.mark.parametrize(("name", "mode"), [("a.png", "RGB"), ("a.jpg", "L"), ("a.tiff", "CMYK")])
def test_eight_bit_pictures_come_as_rgb(tmp_path, name, mode):
    Image.fromarray(tissue()).convert(mode).save(tmp_path / name)
    assert np.array_equal(read_pixels(tmp_path / name), read_picture(tmp_path / name))


def test_every_kind_of_number_is_scaled_as_stated():
    assert unit_values(np.full((1, 1, 1), 255, np.uint8)).item() == 1
    assert unit_values(np.full((1, 1, 1), 65535, np.uint16)).item() == 1
    assert unit_values(np.zeros((1, 1, 1), np.uint16)).item() == -1
    values = np.array([[[-3.0, 0.0, 2.0, 4.0, 9.0]]], np.float32)
    assert unit_values(values, (0.0, 4.0)).ravel().tolist() == [-1, -1, 0, 1, 1]


def test_a_picture_to_look_at_has_three_channels():
    assert np.array_equal(display_values(tissue()), tissue())
    assert np.abs(display_values(DEEP).astype(int) - tissue()).max() <= 1
    assert display_values(np.zeros((4, 5, 7), np.float32)).shape == (4, 5, 3)
    assert display_values(np.ones((4, 5, 1), np.float32)).tolist() == [[[255] * 3] * 5] * 4


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.exr", "a.npy"])
def test_a_cut_file_is_refused_by_name(tmp_path, name, share):
    file = tmp_path / name
    if name.endswith("npy"):
        np.save(file, FLOAT)
    else:
        write_cv(file, FLOAT if name.endswith("exr") else DEEP)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=name):
        read_pixels(file)


@pytest.mark.parametrize(
    "array",
    [np.full((4, 4), np.nan), np.zeros(5), np.zeros((2, 2, 2, 2)), np.zeros((4, 4), np.int64),
     np.zeros((4, 4, 65), np.uint8), np.zeros((0, 4)), np.array(["a"])],
)  # fmt: skip
def test_an_array_that_is_no_picture_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=r"a\.npy"):
        read_pixels(tmp_path / "a.npy")


def test_an_array_that_needs_pickle_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"a\.npy is not a sound"):
        read_pixels(tmp_path / "a.npy")


def test_a_missing_file_is_refused(tmp_path):
    for name in ("a.npy", "a.exr", "a.png", "a.jpg"):
        with pytest.raises(DataError, match=name):
            read_pixels(tmp_path / name)
