"""The pictures of the server's page: a sheet of small drawn faces, and a looping clip of before and after.

`python -m dynstream.pipelines.research.synth.page_pictures` writes pipelines/serve/page/looks.webp. With clips, as
docs/serve.md has the commands for, it writes intro.mp4 and its first picture, intro.webp, too.
"""

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import torch
from PIL import Image

from ....models.directions.directions import Direction, load_directions
from ....models.generator.generator import Generator
from ....models.generator.load import load_generator
from ....models.zoo.zoo import Zoo
from ....stream.frame import Pixels
from ...common.tensors import to_pixels
from ...inversion.code_sampling import sample_codes

PAGE: Final = Path(__file__).parents[2] / "serve" / "page"
SEED: Final = 19
"""Of the woman in all pictures: `dynstream synth --seed 19` draws her, too."""

LOOKS: Final[Sequence[Mapping[str, float]]] = (
    {},
    {"smile": 2},
    {"smile": 2.5, "mouth-open": 1},
    {"smile": -2},
    {"brow": 3, "mouth-open": 1, "eyes-closed": -2},
    {"eyes-closed": 2.5},
    {"age": 1, "grey": 1},
    {"blond": 1, "black": -2},
    {"black": 3},
    {"glasses": 1},
    {"yaw": 1.75},
    {"gender": 2, "beard": 1},
    {"gender": -2},
    {"chubby": 2},
    {"pitch": 2},
    {"pitch": -2},
)
"""Edits of each picture of the sheet, row by row, as page/looks.js has them."""

COLUMNS: Final = 8
CELL: Final = 96
CUT: Final = (32, 40, 224, 232)
"""The part of a drawing of 256 pixels that is kept: left, top, right, bottom."""


def draw_sheet(generator: Generator, directions: Mapping[str, Direction]) -> Image.Image:
    """One picture of COLUMNS cells a row, a face with each of LOOKS."""
    base = sample_codes(generator, 1, torch.Generator().manual_seed(SEED), low=0.7, high=0.7, mix=0.0)[0]
    sheet = Image.new("RGB", (COLUMNS * CELL, -(-len(LOOKS) // COLUMNS) * CELL))
    for number, edits in enumerate(LOOKS):
        w_plus = base
        for name, strength in edits.items():
            w_plus = w_plus + directions[name].offset(strength)
        with torch.inference_mode():
            face = Image.fromarray(to_pixels(generator.synthesize(w_plus[None], size=256)[0]))
        cell = face.crop(CUT).resize((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(cell, (CELL * (number % COLUMNS), CELL * (number // COLUMNS)))
    return sheet


def sweep(before: Pixels, after: Pixels, share: float) -> Pixels:
    """`before` left of a white line at `share` of the width, `after` right of it."""
    line = round(share * before.shape[1])
    picture = np.concatenate([before[:, :line], after[:, line:]], axis=1)
    picture[:, max(0, line - 1) : line + 1] = 255
    return picture


def loop(before: Sequence[Pixels], afters: Sequence[Sequence[Pixels]]) -> list[Pixels]:
    """Before and after of one clip after the other, forwards and backwards in turn: the end meets the beginning."""
    pictures: list[Pixels] = []
    for number, after in enumerate(afters):
        pairs = list(zip(before, after, strict=True))
        pictures += [
            sweep(*pair, 0.5 - 0.28 * float(np.sin(2 * np.pi * place / len(pairs))))
            for place, pair in enumerate(pairs[::-1] if number % 2 else pairs)
        ]
    return pictures


def write_clip(path: Path, pictures: Sequence[Pixels], rate: int) -> None:
    """H.264 as every browser plays it."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "31", "preset": "veryslow", "tune": "animation"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode())


def read_clip(path: Path) -> list[Pixels]:
    """All pictures of a file."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def main(clips: Sequence[Path] = ()) -> None:
    """Write the files of the page. clips: before, then one for each edit; none leaves the clip as it is."""
    sheet = draw_sheet(load_generator("mobilestylegan", Zoo()), load_directions())
    sheet.save(PAGE / "looks.webp", quality=72, method=6)
    if clips:
        before, *afters = map(read_clip, clips)
        pictures = loop(before, afters)
        write_clip(PAGE / "intro.mp4", pictures, 12)
        Image.fromarray(pictures[len(before) // 4]).save(PAGE / "intro.webp", quality=60, method=6)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
