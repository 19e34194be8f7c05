"""Animate a portrait: it follows the motion of the face in one or several driving clips."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from ...models.encoders.encoder import load_encoder
from ...stream.colour import ColourTags
from ...stream.frame import Frame
from ...stream.orientation import Orientation
from ...stream.side_data import SideDataSeen
from ..animation.driver import DriverFrame, at_times, read_driver, steadied
from ..animation.face_motion import MeasuredFace
from ..animation.motions import DEFAULT, Method, Motion
from ..animation.portrait import Portrait
from ..animation.regions import FaceRegion, region_of, whole
from ..common.cache import Cache
from ..common.errors import OptionError
from ..credentials.identity import Identity
from ..credentials.record import EditRecord, sign
from ..motion.keyframes import Every
from ..motion.retimed_reader import RetimedReader
from ..tracking.tracker import Tracker
from . import model_digests
from .animated_frames import animate
from .prepare_portrait import PortraitOptions, cache_folder, check_motion, prepare_portrait
from .transcode import Report, VideoOptions, open_writer, peak_memory
from .watch import Watch, unwatched

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo


@dataclass(frozen=True, kw_only=True)
class AnimateJob:
    """The options of a job. Raises OptionError for those that do not go together.

    Attributes:
        portrait: a picture, or a clip, of which one frame moves. drivers: clips; the first gives times and sound.
        regions: of each driver, a name or a mask's path; empty for the whole face.
        mix: share of the second of two drivers, whose motions are mixed; None for no mixing.
        face: which face of the picture, counted from the left; None for the largest.
        strength: of the motion, 1 as the driver's.
        absolute: the driver's own expression and pose rather than its change.
        passes, draw_every: see `animate`.
        refine, refine_seconds: steps to fit the generator to the picture, and their time limit.
        rate: frames a second of the result; None for the driver's own times.
        consent: why the face may be moved, for the credentials.
    """

    portrait: Path
    drivers: Sequence[Path]
    target: Path
    method: Method = DEFAULT
    regions: Sequence[str] = ()
    mix: float | None = None
    face: int | None = None
    strength: float = 1.0
    absolute: bool = False
    passes: int = 1
    draw_every: Every = 1
    refine: int = 60
    refine_seconds: float = 180.0
    rate: Fraction | None = None
    video: VideoOptions = field(default_factory=VideoOptions)
    overwrite: bool = False
    identity: Identity | None = None
    consent: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.drivers:
            raise OptionError("nothing to do: give the clip whose motion is followed, with --driving CLIP")
        check_motion(self.strength, self.refine)
        if not 1 <= self.passes <= 5:
            raise OptionError(f"--passes {self.passes}: expected 1 to 5")
        if self.regions and len(self.regions) != len(self.drivers):
            raise OptionError(f"{len(self.drivers)} driving clips have {len(self.regions)} regions; give one for each")
        if self.mix is not None and (len(self.drivers) != 2 or self.regions or not 0 <= self.mix <= 1):
            raise OptionError("--mix is a share in 0..1 of the second of two driving clips, without regions")
        if len(self.drivers) > 1 and self.mix is None and not self.regions:
            raise OptionError("several driving clips need a --region each, or two of them a --mix")
        if self.method in ("scores", "codes", "subspace") and self.regions:
            raise OptionError(f"--method {self.method} cannot keep to a region; leave out --region, or take landmarks")


class AnimationReader(RetimedReader):
    """A driving clip as a writer sees it whose pictures are replaced by others of another size."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction | None) -> None:
        super().__init__(path, Fraction(25) if rate is None else rate, even=rate is not None)
        if rate is None:
            self.rate, self.time_base = self._stream.average_rate or Fraction(25), self.source_unit
        self.size = size
        self.sample_aspect_ratio = Fraction(1)
        self.orientation = Orientation()
        self.side_data = SideDataSeen(av.VideoFrame(16, 16, "yuv420p"))
        self.pix_fmt, self.is_rgb, self.tags = "yuv420p", False, ColourTags()
        self.last_duration = 0

    @property
    def stream_metadata(self) -> dict[str, str]:
        """What the source says of its pictures does not hold for these."""
        return {}


def run_animation(job: AnimateJob, zoo: "Zoo", watch: Watch = unwatched) -> Report:
    """Run a job. What takes long (the fit, the effects of moves, drawings) is kept: the same command goes on.

    Raises SourceError, SinkError, PipelineError and ModelError; the target then is as it was before.
    """
    from ..tracking.backends import load_backend

    started = time.perf_counter()
    backend = load_backend("mesh", zoo)
    options = PortraitOptions(
        path=job.portrait, face=job.face, method=job.method, strength=job.strength, refine=job.refine,
        refine_seconds=job.refine_seconds,
    )  # fmt: skip

    def check(portrait: Portrait) -> None:
        with AnimationReader(job.drivers[0], portrait.size, job.rate) as reader:
            open_writer(job.target, reader, job.video, overwrite=job.overwrite).check()

    with Cache(cache_folder() / "drawings.sqlite", largest=1 << 30) as cache:
        prepared = prepare_portrait(options, zoo, cache=cache, watch=watch, check=check)
        fitted, motion, portrait, size = prepared.fitted, prepared.motion, prepared.portrait, prepared.portrait.size
        encoder = load_encoder() if "codes" in motion.needs else None
        drivers = _read_drivers(job, motion, Tracker(backend), encoder, watch)
        if job.rate is not None:
            begin, end = drivers[0][0].seconds, drivers[0][-1].seconds
            times = begin + np.arange(int((end - begin) * float(job.rate)) + 1) / float(job.rate)
            drivers[0] = at_times(drivers[0], times.tolist())
        total = len(drivers[0])
        frames = animate(
            fitted, motion, drivers, backend, parts=_parts(job, motion.own), strength=job.strength,
            absolute=job.absolute, passes=job.passes, draw_every=job.draw_every,
            compositor=prepared.compositor, cache=cache,
        )  # fmt: skip
        lost = 0
        with AnimationReader(job.drivers[0], size, job.rate) as reader:
            seal = _seal(job, zoo)
            writer = open_writer(job.target, reader, job.video, overwrite=job.overwrite, seal=seal)
            with writer, watch("edit", total, float(1 / reader.rate)) as count:
                for one in frames:
                    writer.write(Frame(one.pixels, reader.pts(one.seconds), reader.time_base))
                    lost += one.measured is None
                    count(writer.frames_written)
            notes = [*portrait.notes, *reader.notes, *writer.notes, *map(str, writer.left_out)]
    missing = sum(one.face is None for one in drivers[0])
    if missing:
        notes.append(f"no face is seen in {missing} frames of {job.drivers[0].name}: the portrait rests there")
    if lost:
        notes.append(f"{lost} frames are drawn without a face that can be found; lower --motion-strength")
    return Report(
        source=str(job.portrait),
        result=str(job.target),
        frames=writer.frames_written,
        seconds=time.perf_counter() - started,
        outcomes={"animated": total - missing, "at rest": missing},
        stages={},
        peak_memory_mb=peak_memory(),
        notes=notes,
    )


def _read_drivers(
    job: AnimateJob, motion: Motion, tracker: Tracker, encoder: Any, watch: Watch
) -> list[list[DriverFrame]]:
    found = []
    for path in job.drivers:
        with watch(f"follow {path.name}", None) as count:
            frames = read_driver(
                path, tracker, crops="crops" in motion.needs, encoder=encoder,
                progress=count,
            )  # fmt: skip
        found.append(steadied(frames))
    return found


def _parts(job: AnimateJob, own: MeasuredFace) -> list[FaceRegion]:
    if job.regions:
        return [region_of(name, own.points) for name in job.regions]
    return [whole()] if job.mix is None else [whole(1 - job.mix), whole(job.mix)]


def _seal(job: AnimateJob, zoo: "Zoo") -> Callable[[Path], bytes | None] | None:
    if job.identity is None:
        return None
    files = model_digests.model_files("mobilestylegan", "mesh", "frame", zoo)
    record = EditRecord(
        title=job.target.name,
        source=job.portrait,
        edits={"motion": f"{job.strength:g} of {', '.join(path.name for path in job.drivers)}"},
        settings={"method": job.method, "absolute": job.absolute, "regions": list(job.regions), "mix": job.mix},
        models=model_digests.digests_of(tuple(files)),
        more=job.consent,
    )
    return partial(sign, record=record, identity=job.identity)
