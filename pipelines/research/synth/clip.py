"""Make a clip: draw every frame along its paths, encode it, and write down the truth about it. One frame at a time."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....models.arrays import Quad
from ....models.directions.directions import Direction
from ....models.faces.faces import BLENDSHAPE_COUNT, POINTS
from ....stream.atomic import AtomicFile
from ....stream.encoding import EncoderOptions
from ....stream.frame import Pixels
from ...edits.edit import Edits, apply
from .describe import describe
from .drawn_landmarks import measure_landmarks
from .mask import SIDE
from .media import ClipWriter
from .networks import SynthNetworks, draw
from .scene import body_colour, compose_scene
from .script import Script, make_script
from .settings import ClipSettings
from .sound import SAMPLE_RATE, sound_blocks
from .truth import TensorWriter, Truth, TruthFiles, load_truth, sha256, write_json

DEFAULT_OPTIONS = EncoderOptions()


def make_clip(
    target: Path,
    settings: ClipSettings,
    networks: SynthNetworks,
    directions: Mapping[str, Direction],
    *,
    edits: Edits | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _frames: None,
) -> Truth:
    """Write the clip, its edited twin where there are edits, and the truth about both.

    `progress` is called with the frames done so far. The truth's JSON file is written last: where it lies, all is
    whole. Raises SinkError and PipelineError; no file then appears.
    """
    edits = edits if edits is not None and edits.specs else None
    files = TruthFiles(target)
    script, notes = make_script(settings, networks.generator, directions)
    pts = settings.times()
    shapes = _shapes(len(pts), networks, len(script.moves), edited=edits is not None)
    digests = {"video": hashlib.sha256()} | ({"edited_video": hashlib.sha256()} if edits else {})
    with ExitStack() as stack:
        document = _atomic(stack, files.json, overwrite)
        tensors = _atomic(stack, files.tensors, overwrite)
        writers = {
            what: stack.enter_context(
                ClipWriter(
                    files.video if what == "video" else files.edited,
                    settings.size,
                    rate=settings.rate,
                    time_base=settings.time_base,
                    options=options,
                    sound=settings.sound != "none",
                    overwrite=overwrite,
                )
            )
            for what in digests
        }
        with TensorWriter(tensors.path, shapes) as rows:
            clip = _Clip(script, settings, networks, edits, rows)
            sound = _sound(settings, script)
            body = clip.body()
            for row, moment in enumerate(pts):
                seconds = float(moment * settings.time_base)
                for block in sound(seconds):
                    for writer in writers.values():
                        writer.write_sound(block)
                for writer, digest, pixels in zip(
                    writers.values(), digests.values(), clip.frame(row, seconds, body), strict=True
                ):
                    digest.update(pixels.tobytes())
                    writer.write(pixels, moment)
                progress(row + 1)
            for block in sound(math.inf):
                for writer in writers.values():
                    writer.write_sound(block)
        about = describe(settings, networks, script, edits, options, files, pts, notes)
        about["pixels_sha256"] = {what: digest.hexdigest() for what, digest in digests.items()}
        about["tensors"] = {
            "file": files.tensors.name,
            "sha256": sha256(tensors.path),
            "shapes": {name: list(shape) for name, (shape, _) in sorted(shapes.items())},
        }
        write_json(document.path, about)
        for writer in writers.values():
            writer.finish()
        for file in (*(writer.file for writer in writers.values()), tensors, document):
            file.commit()
    return load_truth(files.json)


class _Clip:
    """Draws the frames of one clip and puts their rows."""

    def __init__(
        self, script: Script, settings: ClipSettings, networks: SynthNetworks, edits: Edits | None, rows: TensorWriter
    ) -> None:
        self._script = script
        self._networks = networks
        self._edits = edits
        self._rows = rows
        self._size = settings.drawn_size(script.head.largest_side)

    def body(self) -> npt.NDArray[np.float64]:
        """(3,) colour of the shoulders, the same for the whole clip and for its edited twin."""
        drawn = draw(self._networks, self._script.base, self._size)
        return body_colour(drawn.pixels, drawn.mask)

    def frame(self, row: int, seconds: float, body: npt.NDArray[np.float64]) -> list[Pixels]:
        """The frame, and the edited one where there are edits."""
        script, put = self._script, self._rows.put
        strengths = script.strengths(seconds)
        codes = script.codes(strengths)
        quad, gains = script.head.quad(seconds), script.light.gains(seconds)
        drawn = draw(self._networks, codes, self._size)
        put("strengths", row, strengths)
        put("codes", row, codes.numpy())
        put("quads", row, quad)
        put("light", row, gains)
        put("opening", row, script.opening(seconds))
        put("mask", row, drawn.mask)
        self._measure(row, drawn.pixels, quad)
        background = script.background(seconds)
        frames = [compose_scene(background, drawn.pixels, drawn.mask, quad, body, gains)]
        if self._edits is not None:
            edited_codes = apply(codes, self._edits.move(seconds))
            edited = draw(self._networks, edited_codes, self._size)
            put("edited_codes", row, edited_codes.numpy())
            put("edited_mask", row, edited.mask)
            frames.append(compose_scene(background, edited.pixels, edited.mask, quad, body, gains))
        return frames

    def _measure(self, row: int, drawing: Pixels, quad: Quad) -> None:
        if self._networks.backend is None:
            return
        measured = measure_landmarks(self._networks.backend, drawing, quad)
        self._rows.put("landmarks", row, measured.landmarks)
        self._rows.put("blendshapes", row, measured.blendshapes)
        self._rows.put("presence", row, measured.presence)


def _atomic(stack: ExitStack, path: Path, overwrite: bool) -> AtomicFile:
    file = AtomicFile(path, overwrite=overwrite)
    stack.callback(file.discard)
    return file


def _sound(settings: ClipSettings, script: Script) -> Callable[[float], Iterator[npt.NDArray[np.float32]]]:
    """A function that gives the blocks of sound up to a time that were not given yet."""
    if settings.sound == "none":
        return lambda _seconds: iter(())
    samples = round(settings.seconds * SAMPLE_RATE)
    blocks = sound_blocks(settings.sound, script.opening, samples, settings.seed)
    given = 0

    def until(seconds: float) -> Iterator[npt.NDArray[np.float32]]:
        nonlocal given
        while given < min(samples, seconds * SAMPLE_RATE) and (block := next(blocks, None)) is not None:
            given += block.size
            yield block

    return until


def _shapes(
    frames: int, networks: SynthNetworks, moves: int, *, edited: bool
) -> dict[str, tuple[tuple[int, ...], npt.DTypeLike]]:
    codes = networks.generator.codes
    shapes: dict[str, tuple[tuple[int, ...], npt.DTypeLike]] = {
        "codes": ((frames, codes, 512), np.float32),
        "strengths": ((frames, moves), np.float64),
        "quads": ((frames, 4, 2), np.float64),
        "light": ((frames, 3), np.float64),
        "opening": ((frames,), np.float64),
        "mask": ((frames, SIDE, SIDE), np.uint8),
    }
    if edited:
        shapes["edited_codes"], shapes["edited_mask"] = shapes["codes"], shapes["mask"]
    if networks.backend is not None:
        shapes["landmarks"] = ((frames, POINTS[networks.backend.layout], 3), np.float32)
        shapes["blendshapes"] = ((frames, BLENDSHAPE_COUNT), np.float32)
        shapes["presence"] = ((frames,), np.float32)
    return shapes
