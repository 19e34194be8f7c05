"""Data beside the pictures: a rule for every kind there is, and what is kept arrives."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import get_args

import av
import pytest
from av.packet import PktSideDataT
from av.sidedata.sidedata import Type

from dynstream.stream.reader import VideoReader
from dynstream.stream.side_data import RULES, SideDataSeen, _timecode, side_data

from .media import Clip, make
from .test_roundtrip import through

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
LIGHT = "max-cll=1000,400"
HDR = {"x265-params": f"log-level=none:master-display={DISPLAY}:{LIGHT}:pools=1", "preset": "ultrafast"}
# Packets are copied with theirs; those that say what frames have too come with the frames.
OF_PACKETS = frozenset(
    {
        "palette", "new_extradata", "param_change", "h263_mb_info", "replay_gain", "display_matrix", "stereo_3d",
        "audio_service_type", "quality_stats", "fallback_track", "cpb_properties", "skip_samples", "jp_dual_mono",
        "strings_metadata", "subtitle_position", "matroska_block_additional", "webvtt_identifier", "webvtt_settings",
        "metadata_update", "mpegts_stream_id", "mastering_display_metadata", "spherical", "content_light_level",
        "a53_cc", "encryption_init_info", "encryption_info", "afd", "prft", "icc_profile", "dovi_conf",
        "s12m_timecode", "dynamic_hdr10_plus", "iamf_mix_gain_param", "iamf_info_param",
        "iamf_recon_gain_info_param", "ambient_viewing_environment", "frame_cropping", "lcevc",
        "3d_reference_displays", "rtcp_sr",
    }
)  # fmt: skip


def test_every_kind_that_is_known_has_a_rule() -> None:
    assert set(RULES) == set(Type)
    assert set(get_args(PktSideDataT)) == OF_PACKETS


def sei(captions: bytes) -> bytes:
    """An SEI message of H.264 with A/53 captions, as ATSC A/53 part 4 has it."""
    data = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | len(captions) // 3, 0xFF]) + captions + b"\xff"
    return b"\0\0\0\1\x06\x04" + bytes([len(data)]) + data + b"\x80"


def captioned(path: Path) -> list[bytes]:
    """Write H.264 with a caption in each frame; returns them in order of decoding, which is that of showing."""
    plain = make(path.with_name("plain.ts"), Clip(pts=range(0, 36000, 3600), time_base=Fraction(1, 90000), audio=None))
    captions = [bytes([0xFC, 0x41 + index, 0x80]) for index in range(10)]
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for caption, packet in zip(captions, source.demux(source.streams.video[0]), strict=False):
            made = av.Packet(sei(caption) + bytes(packet))
            made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, copy
            made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
            target.mux_one(made)
    return captions


def found(path: Path, kind: Type) -> list[bytes]:
    with av.open(str(path)) as container:
        data = [side_data(frame)[0] for frame in container.decode(video=0)]
    return [bytes(one[kind]) for one in data if kind in one]


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [(".mp4", "libx264", None), (".mkv", "libx264", "yuv444p"), (".mp4", "libx265", None)],
)
def test_captions_stay_with_their_frames(suffix: str, codec: str, pix_fmt: str | None, tmp_path: Path) -> None:
    source, target = tmp_path / "a.ts", tmp_path / f"out{suffix}"
    captions = captioned(source)
    assert found(source, Type.A53_CC) == captions
    assert through(source, target, codec=codec, pix_fmt=pix_fmt, preset="ultrafast").left_out == ()
    assert found(target, Type.A53_CC) == captions


def test_captions_that_an_encoder_does_not_write_are_told(tmp_path: Path) -> None:
    captioned(tmp_path / "a.ts")
    writer = through(tmp_path / "a.ts", tmp_path / "out.mkv", codec="ffv1")
    assert [entry.what for entry in writer.left_out] == ["closed captions (CEA-608 and 708)"]


def test_stereo_pictures_stay_so(tmp_path: Path) -> None:
    options = {"crf": "1", "preset": "ultrafast", "x264-params": "frame-packing=3"}
    source = make(tmp_path / "a.mp4", Clip(pts=range(0, 2560, 512), options=options))
    (before,) = found(source, Type.STEREO3D)
    for name, codec, kept in [("out.mp4", "libx264", True), ("out.mkv", "ffv1", True), ("out.mov", "mpeg4", False)]:
        writer = through(source, tmp_path / name, codec=codec)
        after = found(tmp_path / name, Type.STEREO3D)
        assert (after[:1] == [before]) == kept
        assert [entry.what for entry in writer.left_out] == ([] if kept else ["the arrangement of stereo pictures"])


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_light_of_hdr_stays(codec: str, tmp_path: Path) -> None:
    clip = Clip(codec="libx265", options=HDR, pix_fmt="yuv420p10le", pts=range(0, 2560, 512), audio=None)
    source, target = make(tmp_path / "a.mp4", clip), tmp_path / "out.mp4"
    assert through(source, target, codec=codec, pix_fmt="source", preset="ultrafast").left_out == ()
    for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL):
        assert found(target, kind)[0] == found(source, kind)[0]


def test_light_of_hdr_that_an_encoder_does_not_write_is_told(tmp_path: Path) -> None:
    clip = Clip(codec="libx265", options=HDR, pix_fmt="yuv420p10le", pts=range(0, 2560, 512), audio=None)
    writer = through(make(tmp_path / "a.mp4", clip), tmp_path / "out.mkv", codec="ffv1")
    assert {entry.what for entry in writer.left_out} == {"HDR mastering display", "HDR content light level"}


def test_kinds_that_are_not_known_are_told(tmp_path: Path) -> None:
    class Strange:
        @property
        def side_data(self) -> object:
            raise ValueError("77 is not a valid Type")

    with VideoReader(make(tmp_path / "a.mp4", Clip(pts=[0, 512]))) as reader:
        seen = reader.side_data
    seen.add(Strange())  # type: ignore[arg-type]
    assert isinstance(seen, SideDataSeen)
    assert seen.lost() == ["side data of FFmpeg's kind 77"]


def test_user_data_stays_with_its_frames_and_the_encoders_own_does_not(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.ts", Clip(pts=range(0, 36000, 3600), time_base=Fraction(1, 90000), audio=None))
    source, target = tmp_path / "a.ts", tmp_path / "out.mp4"
    said = [b"MISPmicrosectime" + bytes([0x1F, index]) for index in range(10)]
    with av.open(str(plain)) as given, av.open(str(source), "w") as made:
        copy = made.add_stream_from_template(given.streams.video[0], opaque=True)
        for index, packet in enumerate(given.demux(given.streams.video[0])):
            if packet.size:
                own = b"" if index == 0 else b"\0\0\0\1\x06\x05" + bytes([len(said[index])]) + said[index] + b"\x80"
                one = av.Packet(own + bytes(packet))
                one.pts, one.dts, one.time_base, one.stream = packet.pts, packet.dts, packet.time_base, copy
                one.duration, one.is_keyframe = packet.duration, packet.is_keyframe
                made.mux_one(one)
    assert [data for data in found(source, Type.SEI_UNREGISTERED) if b"x264" not in data] == said[1:]
    assert through(source, target, preset="ultrafast").left_out == ()
    after = found(target, Type.SEI_UNREGISTERED)
    assert [data for data in after if b"x264" not in data] == said[1:]
    assert sum(b"x264" in data for data in after) == 1
    writer = through(source, tmp_path / "out.mkv", codec="ffv1")
    assert [entry.what for entry in writer.left_out] == ["user data of the video (unregistered SEI)"]


@pytest.mark.parametrize(("suffix", "kept"), [(".mov", True), (".mp4", True), (".mkv", True), (".ts", False)])
def test_a_timecode_goes_on_from_the_first_frames(suffix: str, kept: bool, tmp_path: Path) -> None:
    pts, options = range(10), {"gop_timecode": "10:11:12:13", "g": "4"}
    clip = Clip(pts=pts, time_base=Fraction(1, 25), codec="mpeg2video", options=options, audio=None)
    source, target = make(tmp_path / "a.mpg", clip), tmp_path / f"out{suffix}"
    assert found(source, Type.GOP_TIMECODE)
    writer = through(source, target, preset="ultrafast")
    assert ("timecode of groups of pictures" in [entry.what for entry in writer.left_out]) != kept
    with av.open(str(target)) as container:
        metadata = {key.lower(): text for key, text in container.streams.video[0].metadata.items()}
    assert metadata.get("timecode") == ("10:11:12:13" if kept else None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({Type.S12M_TIMECODE: struct.pack("=4I", 1, 0x13121110 | 1 << 30, 0, 0)}, "10:11:12;13"),
        ({Type.S12M_TIMECODE: struct.pack("=4I", 0, 0x13121110, 0, 0)}, None),
        ({Type.GOP_TIMECODE: struct.pack("=q", 1 << 24 | 23 << 19 | 59 << 13 | 58 << 6 | 29)}, "23:59:58;29"),
        ({Type.GOP_TIMECODE: struct.pack("=q", 25 << 19)}, None),
        ({}, None),
    ],
)
def test_timecodes_are_read_as_ffmpeg_writes_them(data: dict[Type, bytes], said: str | None) -> None:
    assert _timecode(data) == said
