"""Animate a portrait: it follows the motion of the face in one or several driving clips."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
import torch

from ...models.arrays import FloatImage
from ...models.faces.faces import FaceBackend
from ...stream.colour import ColourTags
from ...stream.frame import Frame, Pixels
from ...stream.orientation import Orientation
from ...stream.side_data import SideDataSeen
from ..animation.driver import DriverFrame, at_times, most_alike, read_driver, steadied
from ..animation.face_motion import MeasuredFace
from ..animation.motions import DEFAULT, Asked, Followed, Method, Motion, look, make_motion
from ..animation.portrait import FittedPortrait, fit_portrait, read_portrait
from ..animation.portrait_compositor import HeadShift, PortraitCompositor, shift_between
from ..animation.regions import FaceRegion, region_of, whole
from ..common.cache import Cache
from ..common.errors import OptionError
from ..common.tensors import to_levels
from ..credentials.identity import Identity
from ..credentials.record import EditRecord, sign
from ..editor.face_compositor import shipped_matte
from ..fitting.pivotal_tuning import FitSettings
from ..motion.retimed_reader import RetimedReader
from ..tracking.head_pose import HeadPose
from ..tracking.tracker import Tracker
from . import model_digests
from .transcode import Report, VideoOptions, open_writer, peak_memory
from .watch import Watch, unwatched

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

YAW: Final = (12.0, 15.0)
"""Degrees to which a head turns freely, and at most: beyond, neck and hair cannot be joined."""
PITCH: Final = (10.0, 14.0)
ROLL_SHARE: Final = 1.0
HOLD_SECONDS: Final = 0.4
"""How long a driver's last face is held where none is seen, before the portrait goes back to rest in as long a time."""


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
        passes: drawings of each frame, see `animate`.
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
        if not 0 <= self.strength <= 3:
            raise OptionError(f"--motion-strength {self.strength:g}: expected 0 to 3")
        if not 1 <= self.passes <= 5:
            raise OptionError(f"--passes {self.passes}: expected 1 to 5")
        if self.refine < 0:
            raise OptionError(f"--refine {self.refine}: expected 0 or more steps")
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


def soft_limit(value: float, free: float, most: float) -> float:
    """A value that goes on freely to `free`, and never beyond `most`."""
    size = abs(value)
    if size <= free:
        return value
    return float(np.sign(value) * (free + (most - free) * np.tanh((size - free) / (most - free))))


def wanted_pose(own: HeadPose, followed: Sequence[Followed], strength: float, absolute: bool) -> HeadPose:
    """The pose of a head that follows its drivers, damped where it turns far."""
    yaw, pitch, roll = own.yaw, own.pitch, own.roll
    for one in followed:
        assert one.frame.face is not None
        assert one.reference.face is not None
        now, before = one.frame.face.pose, own if absolute else one.reference.face.pose
        share = strength * one.part.head
        yaw += share * (now.yaw - before.yaw)
        pitch += share * (now.pitch - before.pitch)
        roll += ROLL_SHARE * share * (now.roll - before.roll)
    # A head that was photographed further turned may stay so.
    return HeadPose(
        soft_limit(yaw, max(YAW[0], abs(own.yaw)), max(YAW[1], abs(own.yaw) + 1)),
        soft_limit(pitch, max(PITCH[0], abs(own.pitch)), max(PITCH[1], abs(own.pitch) + 1)),
        roll,
    )


class _Driver:
    """One driver, followed frame by frame; its reference is chosen anew after each cut."""

    def __init__(self, frames: Sequence[DriverFrame], own: MeasuredFace, part: FaceRegion) -> None:
        self._frames, self._part = frames, part
        self._references: dict[int, DriverFrame] = {}
        for scene in {one.scene for one in frames}:
            rows = [one for one in frames if one.scene == scene]
            if any(one.face is not None for one in rows):
                self._references[scene] = rows[most_alike(rows, own)]
        self._seconds = np.array([one.seconds for one in frames])
        self._last: DriverFrame | None = None

    def at(self, frame: DriverFrame) -> tuple[Followed, HeadShift] | None:
        """What it does; None while no face was seen for long. frame: of this driver, or of the one that gives times."""
        own = frame if frame in self._frames else self._nearest(frame.seconds)
        if own.face is not None:
            self._last = own
        shown = self._last
        if shown is None or shown.scene not in self._references:
            return None
        rest = self._references[shown.scene]
        missed = own.seconds - shown.seconds
        share = float(np.clip(2 - missed / HOLD_SECONDS, 0, 1)) if own.face is None else 1.0
        if share <= 0:
            return None
        assert shown.quad is not None
        assert rest.quad is not None
        shift = shift_between(rest.quad, shown.quad)
        return Followed(shown, rest, self._part.times(share)), shift.scaled(share * self._part.head)

    def _nearest(self, seconds: float) -> DriverFrame:
        return self._frames[int(np.argmin(np.abs(self._seconds - seconds)))]


@dataclass(frozen=True, slots=True, eq=False)
class Animated:
    """One frame of a result.

    Attributes:
        pixels: the portrait in motion.
        drawn: (256, 256, 3) in 0..255, the generator's picture, E_t.
        measured: on it; None where no face is found.
    """

    seconds: float
    pixels: Pixels
    drawn: FloatImage
    measured: MeasuredFace | None


def animate(
    fitted: FittedPortrait,
    motion: Motion,
    drivers: Sequence[Sequence[DriverFrame]],
    backend: FaceBackend,
    *,
    parts: Sequence[FaceRegion] | None = None,
    strength: float = 1.0,
    absolute: bool = False,
    passes: int = 1,
    compositor: PortraitCompositor | None = None,
    cache: Cache | None = None,
) -> Iterator[Animated]:
    """The portrait at the times of the first driver. compositor: None gives drawings alone, as `pixels`.

    passes: drawings of each frame, each corrected by what the one before lacked; the next frame is in any case.

    cache: of drawings, so that the same work after an interruption goes on quickly.
    """
    own = motion.own

    def drawn(delta: torch.Tensor) -> tuple[FloatImage, MeasuredFace | None]:
        picture = _draw(fitted, delta, cache)
        return picture, look(backend, picture.round().astype(np.uint8))

    followers = [
        _Driver(frames, own, part) for frames, part in zip(drivers, parts or [whole()] * len(drivers), strict=True)
    ]
    state, scene = motion.start(), drivers[0][0].scene
    for frame in drivers[0]:
        if frame.scene != scene:
            state, scene = motion.start(), frame.scene
        seen = [found for one in followers if (found := one.at(frame)) is not None]
        delta, shift = torch.zeros_like(fitted.code), HeadShift()
        if seen:
            followed = [one for one, _ in seen]
            pose = wanted_pose(own.pose, followed, strength, absolute)
            shift = _sum([one for _, one in seen])
            asked = Asked(followed, pose, strength, absolute)
            for _ in range(passes):
                delta, state = motion.step(state, asked)
                picture, measured = drawn(delta)
                state = motion.correct(state, measured)
        else:
            picture, measured = drawn(delta)
            state = motion.start()
        pixels = picture.round().astype(np.uint8)
        if compositor is not None:
            points = own.seen if measured is None else measured.seen
            pixels = compositor(picture, points, shift.times(strength))
        yield Animated(frame.seconds, pixels, picture, measured)


def _sum(shifts: Sequence[HeadShift]) -> HeadShift:
    return HeadShift(*(sum(getattr(one, name) for one in shifts) for name in ("x", "y", "growth", "roll")))


def _draw(fitted: FittedPortrait, delta: torch.Tensor, cache: Cache | None) -> FloatImage:
    def draw() -> dict[str, Any]:
        with torch.inference_mode():
            picture = to_levels(fitted.generator.synthesize((fitted.code + delta)[None], size=256))[0]
        return {"drawn": picture.round().astype(np.uint8)}

    if cache is None:
        return np.asarray(draw()["drawn"], dtype=np.float32)
    name = hashlib.sha256(delta.contiguous().numpy().tobytes()).hexdigest()[:24]
    return np.asarray(cache.get(f"{fitted.key}/{name}", draw)["drawn"], dtype=np.float32)


def portrait_compositor(fitted: FittedPortrait, own: MeasuredFace) -> PortraitCompositor:
    """The compositor of a fitted portrait. own: its drawing at rest."""
    inverted = _draw(fitted, torch.zeros_like(fitted.code), None)
    return PortraitCompositor(fitted.portrait, inverted, own.seen, shipped_matte())


def run_animation(job: AnimateJob, zoo: "Zoo", watch: Watch = unwatched) -> Report:
    """Run a job. What takes long (the fit, the effects of moves, drawings) is kept: the same command goes on.

    Raises SourceError, SinkError, PipelineError and ModelError; the target then is as it was before.
    """
    from ...models.encoders.encoder import load_encoder
    from ...models.generator.load import load_generator
    from ...models.zoo.zoo import default_cache
    from ..tracking.backends import load_backend

    started = time.perf_counter()
    backend = load_backend("mesh", zoo)
    portrait = read_portrait(job.portrait, backend, number=job.face)
    size = (portrait.pixels.shape[1], portrait.pixels.shape[0])
    with AnimationReader(job.drivers[0], size, job.rate) as reader:
        open_writer(job.target, reader, job.video, overwrite=job.overwrite).check()
        total = reader.frame_count_estimate if job.rate is not None else None
    encoder, generator = load_encoder(), load_generator("mobilestylegan", zoo)
    kept = default_cache() / "animated"
    settings = FitSettings(steps=job.refine, seconds=job.refine_seconds) if job.refine else None
    with watch("refine", job.refine or None) as count:
        fitted = fit_portrait(portrait, encoder, generator, zoo, settings, cache=kept, progress=count)
    with Cache(kept / "drawings.sqlite", largest=1 << 30) as cache:
        with watch("fit", None) as count:
            motion = make_motion(job.method, fitted, backend, zoo, cache=cache, progress=count)
        drivers = _read_drivers(job, motion, Tracker(backend), encoder, watch)
        if job.rate is not None:
            begin, end = drivers[0][0].seconds, drivers[0][-1].seconds
            times = begin + np.arange(int((end - begin) * float(job.rate)) + 1) / float(job.rate)
            drivers[0] = at_times(drivers[0], times.tolist())
        total = len(drivers[0])
        compositor = portrait_compositor(fitted, motion.own)
        frames = animate(
            fitted, motion, drivers, backend, parts=_parts(job, motion.own), strength=job.strength,
            absolute=job.absolute, passes=job.passes, compositor=compositor, cache=cache,
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
                path, tracker, crops="crops" in motion.needs, encoder=encoder if "codes" in motion.needs else None,
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
