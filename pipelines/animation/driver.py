"""What the face of a driving clip does: measured once, frame by frame, before anything is drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Float64Array, Quad
from ...models.dynamics.dynamics_encoder import FRAME
from ...models.encoders.encoder import Encoder
from ...models.faces.faces import Face
from ...stream.frame import Frame, Pixels
from ...stream.reader import VideoReader
from ..common.errors import PipelineError
from ..common.tensors import to_tensor
from ..tracking.align import crop
from ..tracking.face_track import FaceTrack
from ..tracking.head_pose import HeadPose
from ..tracking.tracker import Tracker, TrackerState
from .face_motion import MeasuredFace, measure

LEAST_CONFIDENCE: Final = 0.5
STEADY_SECONDS: Final = 0.02
"""Standard deviation in time by which landmarks are smoothed: less than a frame of 25 a second."""


@dataclass(frozen=True, slots=True, eq=False)
class DriverFrame:
    """One frame of a driver.

    Attributes:
        seconds: its time.
        face: what was measured; None where no face is seen.
        quad: of its crop, None likewise.
        frame: (128, 128, 3) uint8, its crop; None where that was not asked for.
        code: (codes, 512) of E0, likewise.
        scene: counts the cuts before it, and the changes of the face that is followed.
    """

    seconds: float
    face: MeasuredFace | None
    quad: Quad | None
    frame: Pixels | None
    scene: int
    code: Tensor | None = None


def observe(track: FaceTrack) -> MeasuredFace:
    """What a track shows."""
    return measure(Face(track.landmarks, track.layout, track.presence, track.blendshapes))


def read_driver(
    path: Path,
    tracker: Tracker,
    *,
    crops: bool = False,
    encoder: Encoder | None = None,
    limit: int | None = None,
    progress: Callable[[int], None] = lambda _frames: None,
) -> list[DriverFrame]:
    """Every frame of a clip, of which the tracker follows one face.

    crops, encoder: keep the faces' pictures and codes, for motion that is read from them. limit: frames to read.
    Raises PipelineError for a clip without any face, SourceError for a file that cannot be read.
    """
    found: list[DriverFrame] = []
    state, scene, last = TrackerState(), 0, None
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            if number == limit:
                break
            state, seen = tracker.step(state, frame)
            track = seen.faces[0] if seen.faces else None
            if seen.cut or (track is not None and last is not None and track.id != last):
                scene += 1
            last = last if track is None else track.id
            found.append(driver_frame(frame, track, scene, crops=crops, encoder=encoder))
            progress(number + 1)
    if not any(one.face is not None for one in found):
        raise PipelineError(f"no face is seen in {path}; name a driving clip with a face")
    return found


def driver_frame(
    frame: Frame, track: FaceTrack | None, scene: int, *, crops: bool = False, encoder: Encoder | None = None
) -> DriverFrame:
    """What a frame and the track of its face show; without a face where that is not sure. The rest as above."""
    if track is None or not track.seen or track.confidence < LEAST_CONFIDENCE:
        return DriverFrame(frame.seconds, None, None, None, scene)
    small, code = None, None
    if crops or encoder is not None:
        face = crop(frame.pixels, track.quad)
        if crops:
            small = np.asarray(cv2.resize(face, (FRAME, FRAME), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if encoder is not None:
            with torch.inference_mode():
                code = encoder(to_tensor(face[None]))[0].float().clone()
    return DriverFrame(frame.seconds, observe(track), track.quad, small, scene, code)


def steadied(driver: Sequence[DriverFrame], seconds: float = STEADY_SECONDS) -> list[DriverFrame]:
    """The same, measured faces averaged over time within a scene: landmarks tremble, and drawn faces with them."""
    result = []
    for row, one in enumerate(driver):
        if one.face is None:
            result.append(one)
            continue
        near = [
            (other.face, float(np.exp(-0.5 * ((other.seconds - one.seconds) / seconds) ** 2)))
            for other in driver[max(0, row - 2) : row + 3]
            if other.face is not None and other.scene == one.scene
        ]
        result.append(
            replace(one, face=mean_face([face for face, _ in near], np.array([weight for _, weight in near])))
        )
    return result


def mean_face(faces: Sequence[MeasuredFace], weights: Float64Array) -> MeasuredFace:
    """The mean of faces, each with its weight."""
    share = weights / weights.sum()

    def of(name: str) -> Float64Array:
        return np.asarray(sum(weight * getattr(face, name) for weight, face in zip(share, faces, strict=True)))

    pose = HeadPose(
        *(
            float(sum(weight * getattr(face.pose, name) for weight, face in zip(share, faces, strict=True)))
            for name in ("yaw", "pitch", "roll")
        )
    )
    parts = {name: of(name) for name in ("shape", "points", "openings", "irises", "blendshapes", "places", "seen")}
    return MeasuredFace(pose=pose, **parts)


def most_alike(driver: Sequence[DriverFrame], own: MeasuredFace) -> int:
    """The frame in which the driver is most like `own` in pose and expression: from which motion is counted."""
    costs = [np.inf if one.face is None else unlike(one.face, own) for one in driver]
    return int(np.argmin(costs))


def unlike(one: MeasuredFace, other: MeasuredFace) -> float:
    """How far two faces are apart in pose, expression and gaze: 0 for the same."""
    turn = np.hypot(one.pose.yaw - other.pose.yaw, one.pose.pitch - other.pose.pitch) / 10
    lips = np.abs(one.openings[2:] - other.openings[2:]).sum()
    lids = np.abs(one.openings[:2] - other.openings[:2]).sum() * 2
    gaze = np.abs(one.irises - other.irises).sum()
    return float(turn + 4 * lips + 2 * lids + gaze + np.abs(one.blendshapes - other.blendshapes).sum() / 2)


def unrest(face: MeasuredFace) -> float:
    """How far a face is from looking into the camera with closed lips and open eyes."""
    turn = float(np.hypot(face.pose.yaw, face.pose.pitch)) / 10
    return turn + 4 * float(face.openings[2:4].mean()) - float(np.minimum(face.openings[:2], 0.3).mean())


def at_times(driver: Sequence[DriverFrame], times: Sequence[float]) -> list[DriverFrame]:
    """The driver at other ascending times: measured faces and quads between its frames, pictures of the nearer one."""
    own = np.array([one.seconds for one in driver])
    result = []
    for time in times:
        after = int(np.clip(np.searchsorted(own, time), 0, len(own) - 1))
        before = after if own[after] <= time else max(0, after - 1)
        first, second = driver[before], driver[after]
        span = second.seconds - first.seconds
        share = 0.0 if span <= 0 else float(np.clip((time - first.seconds) / span, 0, 1))
        nearer = replace(second if share > 0.5 else first, seconds=time)
        joined = first.scene == second.scene and first.face is not None and second.face is not None
        if joined and 0 < share < 1 and first.face is not None and second.face is not None:
            weights = np.array([1 - share, share])
            assert first.quad is not None
            assert second.quad is not None
            quad = weights[0] * first.quad + weights[1] * second.quad
            nearer = replace(nearer, face=mean_face([first.face, second.face], weights), quad=quad)
        result.append(nearer)
    return result
