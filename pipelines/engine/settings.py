"""Settings of an engine and of its sessions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...stream.frame import Pixels
from ..common.errors import PipelineError
from ..compositing.composite import Mode
from ..edits.edit import Edits
from ..tracking.face_selection import Place
from .degradation import QUALITY_LEVELS, DegradationSettings, QualityLevel


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Engine settings.

    Attributes:
        window_ms: how long a batch waits for more faces.
        max_batch: largest number of faces in a batch.
        analysis_workers, composite_workers: threads for the stages before and after the device.
        live_flight, patient_flight: frames of one session under way at once.
        spare_ms: margin before the deadline at which the engine begins to conceal a late frame.
        quality_levels, degradation, first_level: the levels, the policy between them, and the level at the start.
        full_load: 0..1, the share of each lane's time that `admit` hands out.
        admit_level: name of the quality level on which a new session must still find room.
    """

    window_ms: float = 4.0
    max_batch: int = 16
    analysis_workers: int = 2
    composite_workers: int = 2
    live_flight: int = 8
    patient_flight: int = 4
    spare_ms: float = 5.0
    quality_levels: Sequence[QualityLevel] = QUALITY_LEVELS
    degradation: DegradationSettings = field(default_factory=DegradationSettings)
    first_level: str = "full"
    full_load: float = 0.9
    admit_level: str = "quarter"

    def __post_init__(self) -> None:
        counts = (self.max_batch, self.analysis_workers, self.composite_workers, self.live_flight, self.patient_flight)
        if min(counts) < 1 or self.window_ms < 0 or self.spare_ms < 0 or not 0 < self.full_load <= 1:
            raise ValueError(f"expected counts from 1, times from 0 and a load in 0..1, got {self}")
        for name in (self.first_level, self.admit_level):
            self.level_of(name)

    def level_of(self, name: str) -> int:
        """Index of the quality level of that name. Raises PipelineError, which lists the names."""
        names = [quality.name for quality in self.quality_levels]
        if name not in names:
            raise PipelineError(f"unknown quality level {name!r}; expected one of {', '.join(names)}")
        return names.index(name)


@dataclass(frozen=True, kw_only=True)
class SessionSpec:
    """Settings of a session.

    Attributes:
        live: frames are shown within `max_latency_ms` or not at all, and newer ones win; False never drops, has no
            deadline, and `submit` waits while too much is under way.
        faces: the policy, as after --faces.
        place: place of the one face to edit instead, see `Tracker`.
        rate: expected frames a second, for `admit`.
        stand_in: (H, W, 3), shown wherever the source would be, until there is a picture; then the last one stays.
            None shows the source.
        calibration: number of requests so far to take the driver of a portrait as it is now for at rest.
        output_rate: target pictures a second; pictures between frames are interpolated once `conceal_missing` is
            called, see `frame_interpolation`.
    """

    edits: Edits
    mode: Mode = "detail"
    faces: str = "largest"
    place: Place | None = None
    live: bool = True
    max_latency_ms: float = 250.0
    rate: float = 25.0
    output_rate: float | None = None
    stand_in: Pixels | None = None
    calibration: int = 0

    def __post_init__(self) -> None:
        check_latency(self.max_latency_ms)
        for rate in (self.rate, self.rate if self.output_rate is None else self.output_rate):
            if not 0 < rate < 1000:
                raise PipelineError(f"a session of {rate:g} frames a second is not possible; give 1 to 240")


def check_latency(milliseconds: float) -> float:
    """Return the latency. Raises PipelineError if it is out of range."""
    if not (math.isfinite(milliseconds) and milliseconds >= 10):
        raise PipelineError(f"a maximum latency of {milliseconds:g} ms cannot be kept; give 10 or more")
    return milliseconds
