"""Reading a file frame by frame, and editing one with a single call."""

from pathlib import Path

import numpy as np
import pytest

import dynstream
from dynstream.pipelines.fitting import refinement as refine_module

from ..fakes import scene, write_clip

pytestmark = pytest.mark.usefixtures("asked")

CLIP = [scene((96 + i, 60)) for i in range(6)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mkv", CLIP, codec="ffv1", pix_fmt="bgr0", options={})


def test_frames_of_a_file(source: Path) -> None:
    frames = list(dynstream.read(str(source)))
    assert [round(frame.seconds, 6) for frame in frames] == [i / 25 for i in range(6)]
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in frames]), np.stack(CLIP))


@pytest.mark.parametrize("call", [dynstream.read, lambda path: dynstream.transcode(path, "out.mp4", {"smile": 1})])
def test_a_file_that_is_not_there_is_refused_at_once(call: object, asked: list[object]) -> None:
    with pytest.raises(dynstream.SourceError, match=r"missing\.mp4 does not exist"):
        call("missing.mp4")  # type: ignore[operator]
    assert asked == []


def test_a_file_is_the_stream_of_its_frames(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    report = dynstream.transcode(source, target, {"smile": 1}, draw_every=1, codec="ffv1", pix_fmt="source")
    stream = dynstream.load_editor({"smile": 1}).stream()
    expected = [stream(frame) for frame in dynstream.read(source)]
    for result, wanted in zip(dynstream.read(target), expected, strict=True):
        np.testing.assert_array_equal(result.pixels, wanted.pixels)
    assert isinstance(report, dynstream.Report)
    assert (report.frames, report.outcomes) == (6, {"edited": 6})


def test_everything_that_can_be_asked_for(
    source: Path, tmp_path: Path, asked: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    fitted: list[object] = []

    def refine_clip(editor: object, clip: Path, _zoo: object, **options: object) -> object:
        fitted.append((clip, options["settings"], options["one"]))
        return editor

    monkeypatch.setattr(refine_module, "refine_clip", refine_clip)
    preset, target = tmp_path / "p.toml", tmp_path / "out.mp4"
    preset.write_text("[edits]\nsmile = 1\n")
    target.write_bytes(b"older")
    report = dynstream.transcode(
        str(source), str(target), preset, mode="replace", faces=2, refine=3, refine_seconds=9, encode_every="auto",
        fps=50, crf=5, encoder_preset="ultrafast", overwrite=True, progress=print,
    )  # fmt: skip
    assert (asked[0]["mode"], asked[0]["faces"]) == ("replace", "2")
    assert [(clip, settings.steps, one) for clip, settings, one in fitted] == [(source, 3, False)]
    assert (report.frames, report.made) == (12, 5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("refine: ")
    assert lines[-1].startswith("12/12 frames, ")
    assert lines[-1].endswith(" fps")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edits": {}}, "nothing to do"),
        ({"edits": {"smlie": 2}}, "did you mean 'smile'"),
        ({"mode": "paste"}, "unknown mode 'paste'"),
        ({"encode_every": 0}, "encode_every: expected auto or a number"),
        ({"refine": -1}, "expected --refine from 0"),
        ({"refine_seconds": float("nan")}, "--refine-seconds from 1"),
        ({"first_frame_edit": True, "faces": "all"}, "--first-frame-edit follows the largest face"),
        ({"first_frame_edit": True, "encode_every": 2}, "leave out --encode-every"),
        ({"fps": float("nan")}, "expected frames a second"),
        ({"codec": "nonsense"}, "nonsense"),
        ({"target": "no/out.mp4"}, "does not exist; make it first"),
        ({"target": "."}, "folder"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(
    options: dict[str, object], message: str, source: Path, tmp_path: Path, asked: list[object]
) -> None:
    given = {"source": source, "edits": {"smile": 1}, **options}
    target = tmp_path / str(given.pop("target", "out.mp4"))
    with pytest.raises(dynstream.DynstreamError, match=message):
        dynstream.transcode(target=target, **given)  # type: ignore[arg-type]
    assert asked == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


def test_a_target_that_exists_stays(source: Path, tmp_path: Path) -> None:
    target = write_clip(tmp_path / "out.mp4", CLIP[:1])
    before = target.read_bytes()
    with pytest.raises(dynstream.SinkError, match="exists"):
        dynstream.transcode(source, target, {"smile": 1})
    assert target.read_bytes() == before
