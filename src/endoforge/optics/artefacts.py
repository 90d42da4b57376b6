# SPDX-License-Identifier: Apache-2.0
"""The traces of coding: a picture is coded and decoded again, with the real codecs."""

from fractions import Fraction

import av
import cv2
import numpy as np
from jaxtyping import UInt8

Picture = UInt8[np.ndarray, "height width 3"]


def through_jpeg(image: Picture, quality: int) -> Picture:
    """Code as JPEG (4:2:0) and decode again.

    Args:
        image: Display values.
        quality: 1 to 100 as libjpeg counts; 0 leaves the picture alone.
    """
    if quality == 0:
        return image
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB))


def through_h264(image: Picture, quantiser: int) -> Picture:
    """Code as one H.264 key frame and decode again.

    Frames are independent of each other here, so what shows is the block structure, the lost fine
    detail and the deblocking of a key frame (x264, 4:2:0). The drift of predicted frames between
    two key frames is not imitated; code a finished sequence as a video for that.

    Args:
        image: Display values; an odd last row or column is repeated for the codec.
        quantiser: Constant quantiser QP, 1 (fine) to 51 (coarse); 0 leaves the picture alone.
    """
    if quantiser == 0:
        return image
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height = even.shape[1], even.shape[0]
    coder.pix_fmt, coder.time_base = "yuv420p", Fraction(1, 25)
    coder.options = {"preset": "ultrafast", "tune": "zerolatency", "qp": str(quantiser)}
    coder.options |= {"threads": "1", "x264-params": "cabac=1:no-deblock=0:8x8dct=1"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
    packets = [*coder.encode(frame), *coder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [out for packet in [*packets, None] for out in decoder.decode(packet)]
    picture: Picture = frames[0].to_ndarray(format="rgb24")[:height, :width]
    return picture
