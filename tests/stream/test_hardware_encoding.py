"""Hardware encoding without hardware: where no device answers, where it fails midway, and what an encoder is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.codec import Codec

from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.stream import writer as writer_module
from dynstream.stream.encoding import EncoderOptions, configure
from dynstream.stream.errors import SinkError
from dynstream.stream.hardware_encoding import quality_options, software_for
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import packed
from dynstream.stream.reader import VideoReader
from dynstream.stream.writer import VideoWriter

from ..pipelines.fakes import editor, scene, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [scene((48 + i, 48), size=(96, 96)) for i in range(8)]
    return write_clip(tmp_path_factory.mktemp("encoders") / "a.mp4", pictures, pix_fmt="yuv420p")


def no_device(codec: str) -> Callable[..., Any]:
    """`VideoWriter._add_video` on a machine whose FFmpeg has an encoder that finds no device."""
    real = VideoWriter._add_video

    def add(self: VideoWriter) -> Any:
        if self.options.codec == codec:
            raise av.error.ExternalError(-542398533, "Generic error in an external library")
        return real(self)

    return add


@pytest.mark.parametrize("codec", ["h264_nvenc", "h264_none_vaapi", "hevc_vaapi"])
def test_software_takes_the_place_of_hardware_that_is_not_there(
    clip: Path, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether FFmpeg has the encoder and no device answers, or it does not have it at all."""
    monkeypatch.setattr(VideoWriter, "_add_video", no_device(codec))
    if software_for(codec) is None:
        with VideoReader(clip) as reader, pytest.raises(SinkError, match="unknown video encoder"):
            VideoWriter(tmp_path / "a.mp4", reader, codec=codec)
        return
    with VideoReader(clip) as reader, VideoWriter(tmp_path / "a.mp4", reader, codec=codec, preset="p4") as writer:
        for frame in reader:
            writer.write(frame)
    (note,) = writer.notes
    assert note.startswith(f"{codec} cannot be had here (")
    assert note.endswith(f"): encoded in software, by {software_for(codec)}")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == codec.split("_")[0]
        assert len(list(container.decode(video=0))) == 8


def failing_after(frames: int) -> Callable[..., Any]:
    """`VideoWriter._add_video` whose MPEG-4 encoder, which is taken for hardware, gives up."""
    real = VideoWriter._add_video

    def add(self: VideoWriter) -> Any:
        stream, left = real(self), [frames]
        if self.options.codec != "mpeg4":
            return stream

        class Failing:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def encode(self, frame: Any) -> Any:
                if not left[0]:
                    raise av.error.ExternalError(-542398533, "the device is lost")
                left[0] -= 1
                return stream.encode(frame)

        return Failing()

    return add


@pytest.mark.parametrize("frames", [0, 3, 8])
def test_a_file_is_begun_again_in_software_where_hardware_fails_midway(
    clip: Path, frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the result is what software alone gives; after 8 frames the end of the file fails."""
    monkeypatch.setattr(VideoWriter, "_add_video", failing_after(frames))
    monkeypatch.setattr(writer_module, "software_for", {"mpeg4": "libx264"}.get)
    results = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    reports = [
        transcode(clip, result, editor("smile=1"), video=VideoOptions(codec=codec))
        for result, codec in zip(results, ("mpeg4", "libx264"), strict=True)
    ]
    assert reports[0].frames == reports[1].frames == 8
    assert reports[0].notes == [
        "mpeg4 failed in the middle of the file (the device is lost); --codec libx264 needs no hardware: the file was "
        "begun again, in software"
    ]
    with VideoReader(results[0]) as one, VideoReader(results[1]) as other:
        for a, b in zip(one, other, strict=True):
            assert a.pts == b.pts
            np.testing.assert_array_equal(a.pixels, b.pixels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_samples_keep_their_values_where_hardware_takes_them_in_another_order(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffv1 stands for it, asked for nv12: no sample goes through RGB."""
    given: list[av.VideoFrame] = []
    real = VideoWriter._add_video

    def add(self: VideoWriter) -> Any:
        self.pix_fmt, own = "yuv420p", self.pix_fmt
        stream = real(self)
        self.pix_fmt = own

        class Watched:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def encode(self, frame: av.VideoFrame | None) -> Any:
                given.extend([] if frame is None else [frame])
                return stream.encode(None if frame is None else frame.reformat(format="yuv420p"))

        return Watched()

    monkeypatch.setattr(VideoWriter, "_add_video", add)
    monkeypatch.setattr(writer_module, "software_for", {"ffv1": "libx264"}.get)
    monkeypatch.setattr(writer_module, "choose_pix_fmt", lambda *_options: "nv12")
    with VideoReader(clip) as reader, VideoWriter(tmp_path / "a.mkv", reader, codec="ffv1") as writer:
        sources = []
        for frame in reader:
            assert frame.original is not None
            sources.append(bytes(packed(frame.original.samples, find_layout("yuv420p"))))
            writer.write(frame)
    assert {frame.format.name for frame in given} == {"nv12"}
    back = [bytes(packed(frame.reformat(format="yuv420p"), find_layout("yuv420p"))) for frame in given]
    assert back == sources


def test_what_hardware_is_told_of_quality() -> None:
    assert quality_options("h264_nvenc", {"cq", "preset"}, 20) == {"cq": "20", "rc": "vbr"}
    assert quality_options("h264_vaapi", {"qp"}, 18) == {"qp": "18", "rc_mode": "CQP"}
    assert quality_options("h264_nvenc", {"preset"}, 20) is None
    assert quality_options("libx264", {"qp"}, 20) is None
    if "hevc_nvenc" in av.codecs_available:
        context = av.CodecContext.create(Codec("hevc_nvenc", "w"))
        assert isinstance(context, av.VideoCodecContext)
        configure(context, EncoderOptions("hevc_nvenc", crf=21, preset="p4"), (96, 96))
        assert {"cq": "21", "rc": "vbr", "preset": "p4"}.items() <= context.options.items()


def test_which_software_stands_for_which_hardware() -> None:
    named = [software_for(f"{codec}_{device}") for codec, device in (("hevc", "qsv"), ("av1", "nvenc"), ("vp9", "amf"))]
    assert named == ["libx265", "libsvtav1", "libvpx-vp9"]
    assert [software_for(name) for name in ("libx264", "h264", "mjpeg_qsv", "h264_omx")] == [None] * 4
