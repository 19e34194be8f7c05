"""`dynstream transcode` as a user calls it: the shipped weights, the real networks, a face that nobody has."""

from fractions import Fraction
from pathlib import Path

import pytest

from dynstream.models.directions.directions import load_directions
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.bench.quality import QualityScorers, measure_quality
from dynstream.pipelines.research.bench.untouched_streams import compare_streams
from dynstream.pipelines.research.synth.clip import make_clip
from dynstream.pipelines.research.synth.networks import load_networks
from dynstream.pipelines.research.synth.settings import ClipSettings
from dynstream.pipelines.tracking.backends import load_backend
from dynstream.pipelines.tracking.face_selection import parse_policy
from dynstream.stream.encoding import EncoderOptions

from .transcoding import read, run

FRAMES = 6


@pytest.fixture(scope="module")
def source(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames at uneven times, with sound, of a serious person that the generator draws; only the head moves."""
    path = tmp_path_factory.mktemp("source") / "in.mp4"
    directions = load_directions()
    settings = ClipSettings(
        seed=4, size=(320, 240), seconds=FRAMES / 10, rate=Fraction(10), jitter=0.3, head=1.0, drawn=256, mask="oval",
        sound="tone", moves=dict.fromkeys(directions, 0.0),
    )  # fmt: skip
    networks = load_networks(zoo, settings, "mobilestylegan", landmarks=False)
    make_clip(path, settings, networks, directions, options=EncoderOptions(crf=8, preset="ultrafast"))
    return path


@pytest.fixture(scope="module")
def scorers(zoo: Zoo) -> QualityScorers:
    return QualityScorers(backend=load_backend("mesh", zoo), policy=parse_policy("largest"))


@pytest.mark.parametrize("mode", ["detail", "replace"])
def test_a_smile_and_nothing_else(
    mode: str, source: Path, scorers: QualityScorers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.mp4"
    # What is measured as outside is outside of the face: `replace` alone would show the whole drawn head.
    assert run(source, target, "--edit", "smile=2", "--mode", mode, "--region", "face") == 0
    quality = measure_quality(source, {mode: target}, scorers)[mode]
    assert f"{target}: {FRAMES} frames, " in capsys.readouterr().err
    kept = compare_streams(source, target)
    assert kept.all_equal, kept.first_difference
    assert (kept.result_frames, quality.frames) == (FRAMES, FRAMES)
    assert kept.audio_packets > 0
    assert [(f.pts, f.time_base) for f in read(target)] == [(f.pts, f.time_base) for f in read(source)]
    assert quality.smile_frames >= FRAMES // 2
    assert quality.smile_rise > 0.25
    assert quality.outside_psnr > 40
