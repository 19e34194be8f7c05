"""What an edit did, against cases worked by hand; faces are yellow ovals and smile as green as they are."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dynstream.models.arrays import Float32Array
from dynstream.models.faces.faces import Face, FaceRegion
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.flow import load_flow
from dynstream.pipelines.research.bench.quality import Quality, QualityScorers, face_region, measure_quality
from dynstream.pipelines.research.directions.attributes import SMILE
from dynstream.pipelines.tracking.face_selection import POLICIES
from dynstream.pipelines.tracking.tracker import Tracker, TrackerState
from dynstream.stream.frame import Pixels

from ...fakes import SKIN, OvalBackend, frames, scene, write_clip


class SmilingBackend(OvalBackend):
    """The smile is the green of the face: 0 at 160, 1 at 260."""

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        face = super().locate(pixels, region)
        blendshapes = np.zeros(52, np.float32)
        x, y = np.clip(face.landmarks[:, :2].mean(axis=0), 0, np.array(pixels.shape[1::-1]) - 1).astype(int)
        blendshapes[list(SMILE)] = np.clip((float(pixels[y, x, 1]) - 160) / 100, 0, 1)
        return Face(face.landmarks, face.layout, face.presence, blendshapes)


class MeanEmbedder:
    """A crop's identity is its mean colour."""

    name = "mean"

    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        return np.stack([crop.reshape(-1, 3).mean(axis=0) / 255 for crop in crops]).astype(np.float32)


def scorers(every: int = 1) -> QualityScorers:
    embedder = MeanEmbedder()
    return QualityScorers(
        backend=SmilingBackend(),
        policy=POLICIES["largest"],
        embedders={"dlib": embedder, "arcface": embedder},
        flow=load_flow("dis", None),  # type: ignore[arg-type]
        every=every,
    )


def pictures(green: int, count: int = 6) -> list[Pixels]:
    made = [scene((96 + i, 60)) for i in range(count)]
    for pixels in made:
        pixels[(pixels == SKIN).all(axis=2), 1] = green
    return made


def compare(tmp_path: Path, source: Sequence[Pixels], *results: Sequence[Pixels], every: int = 1) -> list[Quality]:
    clip = write_clip(tmp_path / "source.mp4", source)
    files = {str(i): write_clip(tmp_path / f"{i}.mp4", result) for i, result in enumerate(results)}
    return list(measure_quality(clip, files, scorers(every)).values())


def test_the_source_against_itself_is_perfect(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "source.mp4", pictures(180))
    done: list[int] = []
    quality = measure_quality(clip, {"same": clip}, scorers(), done.append)["same"]
    assert done == list(range(1, 7))
    assert quality.frames == 6
    assert quality.outside_psnr == quality.outside_psnr_worst == math.inf
    assert quality.smile_frames == 6
    assert quality.smile_rise == 0
    assert quality.identity == {"dlib": 0.0, "arcface": 1.0}
    assert quality.identity_frames == 6
    assert quality.warp_error is not None
    assert quality.warp_error.ratio == 1
    assert quality.warp_error.pairs == 5


def test_only_the_surroundings_count_outside(tmp_path: Path) -> None:
    source = pictures(180)
    (track,) = Tracker(SmilingBackend()).step(TrackerState(), frames(source[:1])[0])[1].faces
    rows, columns = face_region(track, (200, 160))
    inside, outside = [p.copy() for p in source], [p.copy() for p in source]
    for index, pixels in enumerate(inside):
        pixels[rows, columns][8:-8, 8 + index : -8 + index] ^= 32
    for pixels in outside:
        pixels[:20] ^= 32
    within, beyond = compare(tmp_path, source, inside, outside)
    assert within.outside_psnr > 42
    share = 20 * 200 / (200 * 160 - (rows.stop - rows.start) * (columns.stop - columns.start))
    assert beyond.outside_psnr == pytest.approx(20 * math.log10(255 / 32) - 10 * math.log10(share), abs=0.3)


def test_the_smile_rises_by_what_was_added(tmp_path: Path) -> None:
    (quality,) = compare(tmp_path, pictures(180), pictures(220))
    assert quality.smile_before == pytest.approx(0.2, abs=0.03)
    assert quality.smile_rise == pytest.approx(0.4, abs=0.04)
    assert quality.identity["dlib"] > 0.01
    assert quality.identity["arcface"] < 1


def test_frames_that_smile_already_are_left_out(tmp_path: Path) -> None:
    source = [*pictures(180, 3), *pictures(240, 5)]
    (quality,) = compare(tmp_path, source, source)
    assert quality.smile_frames == 3


def test_flicker_raises_the_warp_error(tmp_path: Path) -> None:
    source, flicker = pictures(180, 8), pictures(180, 8)
    for index, pixels in enumerate(flicker):
        face = (pixels[..., 0] == SKIN[0]) & (pixels[..., 1] == 180)
        pixels[face, 1] = 180 + 20 * (index % 2)
    (quality,) = compare(tmp_path, source, flicker)
    assert quality.warp_error is not None
    assert quality.face_warp_error is not None
    assert quality.warp_error.ratio > 1.5
    assert quality.face_warp_error.ratio > quality.warp_error.ratio
    assert quality.face_warp_error.source < 0.01


def test_costly_judges_may_look_seldom(tmp_path: Path) -> None:
    source = pictures(180, 7)
    (quality,) = compare(tmp_path, source, source, every=3)
    assert quality.frames == 7
    assert quality.identity_frames == 3
    assert quality.warp_error is not None
    assert quality.warp_error.pairs == 2


def test_without_a_face_there_is_nothing_to_say_of_it(tmp_path: Path) -> None:
    source = [scene(None)] * 3
    (quality,) = compare(tmp_path, source, source)
    assert quality.outside_psnr == math.inf
    assert quality.smile_frames == quality.identity_frames == 0
    assert math.isnan(quality.smile_rise)
    assert math.isnan(quality.identity["dlib"])
    assert quality.face_warp_error is not None
    assert quality.face_warp_error.pairs == 0


@pytest.mark.parametrize("count", [4, 8])
def test_another_length_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(PipelineError, match=f"has 6 frames.* {count}; measure results that keep"):
        compare(tmp_path, pictures(180), pictures(180, count))


def test_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"is 200x160.* 160x160; measure results that keep"):
        compare(tmp_path, pictures(180), [scene(size=(160, 160))] * 6)


def test_other_times_are_refused(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "source.mp4", pictures(180))
    late = write_clip(tmp_path / "late.mp4", pictures(180), [0, 512, 1024, 2048, 2560, 3072])
    with pytest.raises(PipelineError, match=r"frame 3 of the source .* is shown at 0\.120 s, .* at 0\.160 s"):
        measure_quality(source, {"late": late}, scorers())


def test_the_face_region_is_the_grown_box_inside_the_frame() -> None:
    (track,) = Tracker(SmilingBackend()).step(TrackerState(), frames([scene((100, 60))])[0])[1].faces
    left, top, right, bottom = track.box
    rows, columns = face_region(track, (200, 160))
    assert columns.start == math.floor(left - (right - left) / 8)
    assert rows.stop == math.ceil(bottom + (bottom - top) / 8 + 1)
    assert face_region(track, (90, 50)) == (slice(rows.start, 50), slice(columns.start, 90))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"embedders": {"guess": MeanEmbedder()}}])
def test_judges_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"every first frame|no measure"):
        QualityScorers(backend=SmilingBackend(), policy=POLICIES["largest"], **wrong)  # type: ignore[arg-type]
