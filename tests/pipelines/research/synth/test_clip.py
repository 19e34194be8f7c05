"""Whole clips: what the files show is what the truth says."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from dynstream.models.faces.faces import FaceBackend
from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.synth import clip as clip_module
from dynstream.pipelines.research.synth.background import Background
from dynstream.pipelines.research.synth.media import ClipWriter
from dynstream.pipelines.research.synth.networks import draw
from dynstream.pipelines.research.synth.scene import body_colour, compose_scene
from dynstream.pipelines.research.synth.truth import Truth
from dynstream.pipelines.tracking.align import alignment_points, ffhq_quad, side
from dynstream.stream.encoding import EncoderOptions
from dynstream.stream.errors import SinkError
from dynstream.stream.reader import VideoReader

from ....synthetic import synthetic_clip, tiny_directions, tiny_networks


@pytest.fixture(scope="module")
def edited_clip(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return synthetic_clip(tmp_path_factory.mktemp("clip") / "a.mp4", "smile=0:2@0.3s", "age=1", moves={"smile": 0.5})


@pytest.fixture(scope="module")
def mesh(zoo: Zoo) -> FaceBackend:
    return load_mesh_backend(zoo)


def frames(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.pixels for frame in reader]


def test_the_same_settings_give_the_same_bytes(tmp_path, edited_clip):
    again = synthetic_clip(tmp_path / "a.mp4", "smile=0:2@0.3s", "age=1", moves={"smile": 0.5})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.edited.mp4",
        "a.mp4",
        "a.truth.json",
        "a.truth.safetensors",
    ]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == edited_clip.files.json.with_name(path.name).read_bytes(), path.name
    other = synthetic_clip(tmp_path / "b.mp4", seed=1)
    assert other.about["pixels_sha256"]["video"] != again.about["pixels_sha256"]["video"]


def test_small_pictures_are_encoded_alike_every_time(tmp_path):
    random = np.random.default_rng(0)
    picture = cv2.GaussianBlur(random.integers(0, 256, (96, 96, 3), dtype=np.uint8), (0, 0), 3)
    seen = set()
    for number in range(12):
        keep = [np.full(random.integers(1, 200_000), number, np.uint8) for _ in range(5)]  # so that memory differs
        writer = ClipWriter(
            tmp_path / "a.mp4",
            (96, 96),
            rate=Fraction(25),
            time_base=Fraction(1, 25),
            options=EncoderOptions(),
            sound=False,
            overwrite=True,
        )
        with writer:
            for index in range(10):
                writer.write(np.roll(picture, index, axis=1), index)
            writer.finish()
            writer.file.commit()
        seen.add((tmp_path / "a.mp4").read_bytes())
        del keep
    assert len(seen) == 1


def test_the_name_of_the_file_changes_nothing_else(tmp_path):
    one, two = (synthetic_clip(tmp_path / name) for name in ("one.mp4", "two.mp4"))
    assert one.files.video.read_bytes() == two.files.video.read_bytes()
    assert one.about["tensors"]["sha256"] == two.about["tensors"]["sha256"]


def test_codes_are_the_person_moved_along_the_paths(edited_clip):
    codes, strengths = edited_clip.read("codes"), edited_clip.read("strengths")
    assert edited_clip.paths == ("mouth-open", "smile")
    assert np.ptp(strengths, axis=0).min() > 0.02
    offsets = np.stack([tiny_directions()[name].offset(1.0).numpy() for name in edited_clip.paths])
    base = codes - np.einsum("tk,knc->tnc", strengths, offsets)
    np.testing.assert_allclose(base, np.broadcast_to(base[0], base.shape), atol=1e-5)
    np.testing.assert_allclose(base[0], np.broadcast_to(base[0, 0], (18, 512)), atol=1e-5)
    np.testing.assert_allclose(strengths[:, 0], 2 * edited_clip.read("opening"))


def test_edited_codes_differ_by_the_edit_alone(edited_clip):
    step = edited_clip.read("edited_codes") - edited_clip.read("codes")
    directions = tiny_directions()
    for row, seconds in enumerate(edited_clip.seconds):
        expected = directions["smile"].offset(2 * min(1.0, seconds / 0.3)) + directions["age"].offset(1.0)
        np.testing.assert_allclose(step[row], expected.numpy(), atol=1e-6)
    assert [edit["name"] for edit in edited_clip.about["edits"]] == ["smile", "age"]


@pytest.mark.parametrize("edited", [False, True])
def test_every_frame_can_be_drawn_again_from_the_truth(edited_clip, edited):
    path = edited_clip.edited if edited else edited_clip.files.video
    prefix = "edited_" if edited else ""
    read = edited_clip.read
    networks, background = tiny_networks(), Background(0, edited_clip.size)
    base = read("codes")[0] - tiny_directions()["mouth-open"].offset(float(read("strengths")[0, 0])).numpy()
    base = base - tiny_directions()["smile"].offset(float(read("strengths")[0, 1])).numpy()
    first = draw(networks, torch.from_numpy(base), edited_clip.about["drawn"])
    body = body_colour(first.pixels, first.mask)
    shown = frames(path)
    assert len(shown) == edited_clip.frames
    for row, pixels in enumerate(shown):
        drawn = draw(networks, torch.from_numpy(read(prefix + "codes")[row]), edited_clip.about["drawn"])
        np.testing.assert_array_equal(drawn.mask, read(prefix + "mask")[row])
        again = compose_scene(
            background(edited_clip.seconds[row]),
            drawn.pixels,
            read(prefix + "mask")[row],
            read("quads")[row],
            body,
            read("light")[row],
        )
        error = np.square(again.astype(float) - pixels).mean()
        assert 10 * np.log10(255**2 / error) > 33


def test_the_edited_clip_is_the_same_but_for_the_face(edited_clip):
    for source, edited, quad in zip(
        frames(edited_clip.files.video), frames(edited_clip.files.edited), edited_clip.read("quads"), strict=True
    ):
        outside = np.ones(source.shape[:2], bool)
        left, top = np.maximum(0, quad.min(axis=0).astype(int) - 2)
        right, bottom = quad.max(axis=0).astype(int) + 3
        outside[top:bottom, left:right] = False
        difference = np.abs(source.astype(int) - edited)
        assert difference[outside].mean() < 1.5
        assert difference[~outside].mean() > 2


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_times_of_the_file_are_those_of_the_truth(tmp_path, rate, suffix):
    truth = synthetic_clip(tmp_path / f"a{suffix}", rate=rate, jitter=0.4, drop=0.2, seconds=0.8)
    with VideoReader(truth.files.video) as reader:
        shown = [frame.pts * frame.time_base for frame in reader]
        assert reader.notes == ()
    assert shown == [pts * truth.time_base for pts in truth.pts]
    assert len({b - a for a, b in pairwise(shown)}) > 3


@pytest.mark.parametrize("size", [(97, 61), (16, 16), (48, 128)])
def test_any_size(tmp_path, size):
    truth = synthetic_clip(tmp_path / "a.mp4", size=size, seconds=0.1)
    with VideoReader(truth.files.video) as reader:
        assert reader.size == truth.size == size


def envelope(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(times, loudness) of a file's sound in steps of 10 ms."""
    samples, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples.append(frame.to_ndarray()[0])
            times.append(float(frame.pts * frame.time_base) + np.arange(frame.samples) / frame.sample_rate)
    sound, seconds = np.concatenate(samples).astype(float), np.concatenate(times)
    step = np.floor(seconds / 0.01).astype(int)
    kept = step >= 0
    count = np.bincount(step[kept])
    power = np.bincount(step[kept], np.square(sound[kept])) / np.maximum(1, count)
    return (np.arange(power.size) + 0.5) * 0.01, np.sqrt(power)


@pytest.mark.parametrize(
    ("suffix", "voice"), [(".mp4", "tone"), (".mp4", "speech"), (".mkv", "speech"), (".webm", "tone")]
)
def test_sound_is_in_step_with_the_mouth(tmp_path, suffix, voice):
    codec = EncoderOptions("libvpx-vp9" if suffix == ".webm" else "libx264")
    truth = synthetic_clip(
        tmp_path / f"a{suffix}", seconds=3.0, size=(32, 32), rate=Fraction(30), sound=voice, options=codec
    )
    seconds, loudness = envelope(truth.files.video)
    assert abs(seconds[-1] - 3.0) < 0.06
    opening = {}
    for late in np.arange(-0.1, 0.101, 0.01):
        heard = np.interp(truth.seconds + late, seconds, loudness)
        opening[round(float(late), 2)] = np.corrcoef(heard, truth.read("opening"))[0, 1]
    best = max(opening, key=lambda late: opening[late])
    assert abs(best) <= 0.02
    assert opening[0.0] > 0.95


def test_missing_directions_are_told_and_not_faked(edited_clip):
    notes = " ".join(edited_clip.about["notes"])
    assert all(f"'{name}'" in notes for name in ("yaw", "pitch", "eyes-closed"))
    assert "'smile'" not in notes


@pytest.mark.parametrize("there", ["a.mp4", "a.edited.mp4", "a.truth.json", "a.truth.safetensors"])
def test_nothing_is_replaced_unasked(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(SinkError, match=f"{there} exists.*--overwrite"):
        synthetic_clip(tmp_path / "a.mp4", "smile=1")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"
    assert synthetic_clip(tmp_path / "a.mp4", "smile=1", overwrite=True).frames == 10


def test_an_interrupted_clip_leaves_nothing(tmp_path, monkeypatch):
    written = 0

    def write(self, pixels, pts):
        nonlocal written
        written += 1
        if written == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(ClipWriter, "write", write)
    with pytest.raises(KeyboardInterrupt):
        synthetic_clip(tmp_path / "a.mp4", "smile=1")
    assert list(tmp_path.iterdir()) == []


def test_a_container_that_is_none_is_refused(tmp_path):
    with pytest.raises(SinkError, match=r"suffix '.xyz'"):
        synthetic_clip(tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_hold_frames(tmp_path, monkeypatch):
    """Never more than two frames' worth of scenes are alive: each is written before the next is drawn."""
    order = []
    compose, write = clip_module.compose_scene, ClipWriter.write
    monkeypatch.setattr(clip_module, "compose_scene", lambda *a: order.append("draw") or compose(*a))
    monkeypatch.setattr(ClipWriter, "write", lambda *a: order.append("write") or write(*a))
    synthetic_clip(tmp_path / "a.mp4", "smile=1")
    assert order == ["draw", "draw", "write", "write"] * 10


def test_measured_landmarks_lie_where_the_face_was_put(tmp_path, mesh):
    truth = synthetic_clip(tmp_path / "a.mp4", backend=mesh, size=(320, 240), seconds=0.2)
    quads, landmarks = truth.read("quads"), truth.read("landmarks")
    assert truth.about["landmarks"] == "mesh-478"
    assert landmarks.shape == (5, 478, 3)
    assert truth.read("presence").min() > 0.5
    assert np.isfinite(truth.read("blendshapes")).all()
    for row, quad in enumerate(quads):
        face = mesh.locate(frames(truth.files.video)[row], mesh.detect(frames(truth.files.video)[row])[0])
        seen = np.linalg.norm(face.landmarks[:, :2] - landmarks[row, :, :2], axis=1).mean()
        assert seen < 0.03 * side(quad)
        assert np.linalg.norm(ffhq_quad(alignment_points(face)) - quad, axis=1).mean() < 0.12 * side(quad)


def test_the_document_names_everything_that_was_asked(edited_clip):
    about = json.loads(edited_clip.files.json.read_text())
    assert about["settings"]["seed"] == 0
    assert about["settings"]["moves"] == {"smile": 0.5}
    assert about["generator"] == "tiny"
    assert about["tensors"]["shapes"]["codes"] == [10, 18, 512]
