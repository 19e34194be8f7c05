"""Clips to evaluate: a generated stranger who moves across the frame, and what a bad tool makes of it."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo

from ...textures import Pixels, pixels, texture

FRAMES = 4


def write(path: Path, frames: list[Pixels], rate: int = 25) -> Path:
    """A nearly lossless MP4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, width=frames[0].shape[1], height=frames[0].shape[0])
        stream.pix_fmt = "yuv444p"
        stream.codec_context.options = {"crf": "1", "preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, rate)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def face_frames(zoo: Zoo) -> list[Pixels]:
    """FRAMES of (160, 200, 3): a drawn face of 144 pixels that moves 2 to the right in each, before a texture."""
    generator = load_mobile_stylegan(zoo)
    z = torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        w = generator.mean_w() + 0.7 * (generator.map(z) - generator.mean_w())
        drawn = pixels(generator.synthesize(w[:, None].expand(1, generator.codes, -1), size=1024))
    face = cv2.resize(drawn, (144, 144), interpolation=cv2.INTER_AREA)
    frames = []
    for index in range(FRAMES):
        frame = pixels(texture(0, (160, 200)))
        frame[8:152, 20 + 2 * index : 164 + 2 * index] = face
        frames.append(frame)
    return frames


@pytest.fixture(scope="session")
def source(face_frames: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "source.mp4", face_frames)


@pytest.fixture(scope="session")
def result(face_frames: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blurred, and lighter and darker by turns."""
    spoiled = [
        np.clip(cv2.GaussianBlur(frame, (0, 0), 1.2).astype(int) + (12 if index % 2 else -12), 0, 255).astype(np.uint8)
        for index, frame in enumerate(face_frames)
    ]
    return write(tmp_path_factory.mktemp("clips") / "result.mp4", spoiled)


@pytest.fixture(scope="session")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [np.roll(pixels(texture(3, (96, 128))), 2 * index, axis=1) for index in range(4)]
    return write(tmp_path_factory.mktemp("clips") / "faceless.mp4", frames)
