"""A file that was edited in pieces equals one that was edited whole."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.batch.plan import Item, make_job
from dynstream.pipelines.batch.segments import Span, edit_piece, find_spans, frame_times, join_pieces, reader_at
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.pipelines.run.transcode_job import TranscodeJob
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, Seen, make, probe, psnr
from .. import fakes

REGULAR = tuple(range(512, 512 * 61, 512))
UNEVEN = tuple(round(512 * (i + 0.4 * np.sin(3 * i))) for i in range(60))


def job(source: Path, target: Path, **options: object) -> TranscodeJob:
    return make_job(Item("", "", (parse_edit("smile=2"),), options), source, target)


def in_pieces(source: Path, target: Path, spans: Sequence[Span], *, lead: float = 0.4, **options: object) -> list[str]:
    pieces = []
    for index, span in enumerate(spans):
        piece = target.with_name(f"piece-{index}.mkv")
        made = edit_piece(job(source, piece, **options), fakes.editor("smile=1"), span, lead=lead, stages=Stages())
        assert made == span.frames
        pieces.append(piece)
    _, notes = join_pieces(job(source, target, **options), spans, pieces)
    return notes


def sound(seen: Seen) -> list[tuple[object, ...]]:
    """Times and bytes of the sound's packets. Matroska need not store how long each is."""
    (packets,) = seen.packets.values()
    return [(pts, dts, digest) for pts, dts, _, digest in packets]


def pictures(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.pixels for frame in reader]


@pytest.mark.parametrize("pts", [REGULAR, UNEVEN], ids=["regular", "uneven"])
@pytest.mark.parametrize(
    ("suffix", "options", "codec"),
    [
        (".mp4", {"gop": "20"}, "libx264"),
        (".mkv", {"gop": "20", "bframes": "2"}, "libx264"),
        (".mp4", {"x265-params": "keyint=20:open-gop=1:log-level=none"}, "libx265"),
        (".mkv", {}, "ffv1"),
    ],
)
def test_it_holds_what_the_whole_one_holds(
    tmp_path: Path, pts: tuple[int, ...], suffix: str, options: dict[str, str], codec: str
) -> None:
    settings = {"g": options.pop("gop"), **options} if "gop" in options else options
    source_codec = codec if codec == "libx265" else "libx264"
    source = make(
        tmp_path / f"in{suffix}",
        Clip(pts=pts, options={"crf": "5", "preset": "ultrafast", **settings}, codec=source_codec, chapters=2),
    )
    spans = find_spans(source, 3, shortest=0.5)
    assert len(spans) == 3
    assert sum(span.frames for span in spans) == 60
    whole, joined = tmp_path / f"whole{suffix}", tmp_path / f"joined{suffix}"
    quality = {} if codec == "ffv1" else {"crf": 2.0}  # finer than what is compared
    transcode(source, whole, fakes.editor("smile=1"), video=job(source, whole, codec=codec, **quality).video)
    in_pieces(source, joined, spans, codec=codec, **quality)
    expected, seen = probe(whole), probe(joined)
    assert (seen.frame_times, seen.chapters, seen.metadata) == (
        expected.frame_times,
        expected.chapters,
        expected.metadata,
    )
    assert sound(seen) == sound(expected)
    for one, other in zip(pictures(whole), pictures(joined), strict=True):
        assert psnr(one, other) > 45


def test_a_source_whose_clock_starts_late_is_cut_on_the_clock_of_its_frames(tmp_path: Path) -> None:
    late = tuple(100 * 12800 + pts for pts in REGULAR)
    source = make(tmp_path / "in.ts", Clip(pts=late, options={"g": "20", "crf": "5", "preset": "ultrafast"}))
    with VideoReader(source) as reader:
        times = [frame.pts for frame in reader]
    spans = find_spans(source, 3, shortest=0.5)
    assert [span.frames for span in spans] == [20, 20, 20]
    assert [span.start for span in spans] == [times[0], times[20], times[40]]
    whole, joined = tmp_path / "whole.mkv", tmp_path / "joined.mkv"
    transcode(source, whole, fakes.editor("smile=1"), video=VideoOptions(crf=2.0))
    in_pieces(source, joined, spans, crf=2.0)
    assert probe(joined).frame_times == probe(whole).frame_times
    for one, other in zip(pictures(whole), pictures(joined), strict=True):
        assert psnr(one, other) > 45


def test_a_source_whose_clock_jumps_is_not_cut(tmp_path: Path) -> None:
    part = make(tmp_path / "part.ts", Clip(pts=REGULAR, options={"g": "20", "preset": "ultrafast"}))
    twice = tmp_path / "twice.ts"
    twice.write_bytes(2 * part.read_bytes())
    assert frame_times(twice) is None
    assert find_spans(twice, 3, shortest=0.5) == ()


def test_a_lead_in_settles_what_is_remembered(tmp_path: Path) -> None:
    places = [(80 + 0.5 * i, 60 + 0.2 * i) for i in range(50)]
    source = fakes.write_clip(tmp_path / "in.mp4", [fakes.scene(place) for place in places])
    whole, joined = tmp_path / "whole.mp4", tmp_path / "joined.mp4"
    transcode(source, whole, fakes.editor("smile=1"), video=VideoOptions(crf=2.0))
    spans = (Span(0, 40 * 512, 0, 40), Span(40 * 512, None, 0, 10))

    def worst(lead: float) -> float:
        for path in (joined, tmp_path / "piece-0.mkv", tmp_path / "piece-1.mkv"):
            path.unlink(missing_ok=True)
        in_pieces(source, joined, spans, lead=lead, crf=2.0)
        return min(psnr(one, other) for one, other in zip(pictures(whole), pictures(joined), strict=True))

    assert worst(1.4) > 45 > worst(0.0)


def test_ramps_begin_where_the_file_begins(tmp_path: Path) -> None:
    source = fakes.write_clip(tmp_path / "in.mp4", [fakes.scene((90, 60))] * 50, [256 * i for i in range(100, 150)])
    begin = 256 * 100
    spans = (Span(begin, begin + 256 * 30, begin, 30), Span(begin + 256 * 30, None, begin, 20))
    whole, joined = tmp_path / "whole.mp4", tmp_path / "joined.mp4"
    transcode(source, whole, fakes.editor("smile=0:2@1s"), video=VideoOptions(crf=2.0))
    pieces = [tmp_path / "0.mkv", tmp_path / "1.mkv"]
    for span, piece in zip(spans, pieces, strict=True):
        edit_piece(
            job(source, piece, crf=2.0, draw_every=1), fakes.editor("smile=0:2@1s"), span, lead=0.5, stages=Stages()
        )
    join_pieces(job(source, joined, crf=2.0), spans, pieces)
    assert min(psnr(one, other) for one, other in zip(pictures(whole), pictures(joined), strict=True)) > 45


def test_it_is_cut_at_scene_cuts_then_key_frames(tmp_path: Path) -> None:
    still, other = fakes.scene((90, 60)), fakes.scene((90, 60), background=(200, 40, 30))
    cut = fakes.write_clip(tmp_path / "cut.mp4", [still] * 34 + [other] * 26, options={"g": "250"})
    assert [span.start // 512 for span in find_spans(cut, 2, shortest=0.5)] == [0, 34]
    keyed = fakes.write_clip(tmp_path / "keyed.mp4", [still] * 60, options={"g": "27", "sc_threshold": "0"})
    assert [span.start // 512 for span in find_spans(keyed, 2, shortest=0.5)] == [0, 27]
    plain = fakes.write_clip(tmp_path / "plain.mp4", [still] * 60, options={"g": "250"})
    assert [span.start // 512 for span in find_spans(plain, 2, shortest=0.5)] == [0, 30]
    assert len(find_spans(plain, 9, shortest=1.0)) == 2


def test_a_container_that_cannot_be_searched_is_read_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "in.avi", Clip(pts=REGULAR, codec="mpeg4", options={}, audio=None))
    times, _, _ = frame_times(source) or ([], [], None)
    with reader_at(source, times[40], times[0]) as reader:
        found = next(iter(reader)).pts
    assert times[0] < found <= times[40]

    def refuse(_reader: VideoReader, _seconds: object) -> None:
        raise SourceError("cannot be searched")

    monkeypatch.setattr(VideoReader, "seek", refuse)
    with reader_at(source, times[40], times[0]) as reader:
        assert [frame.pts for frame in reader] == times


def test_a_reader_starts_at_or_before_a_frame(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", Clip(pts=REGULAR, options={"g": "8", "crf": "5", "bf": "2"}))
    frames = {frame.pts: frame.pixels for frame in _frames(source)}
    for pts in REGULAR[::7]:
        with reader_at(source, pts, REGULAR[0]) as reader:
            seen = list(reader)
        assert seen[0].pts <= pts
        assert [frame.pts for frame in seen] == [known for known in REGULAR if known >= seen[0].pts]
        assert all(np.array_equal(frame.pixels, frames[frame.pts]) for frame in seen)


def _frames(source: Path) -> list[object]:
    with VideoReader(source) as reader:
        return list(reader)  # type: ignore[arg-type]


def test_pieces_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", Clip(pts=REGULAR))
    spans = find_spans(source, 2, shortest=0.5)
    pieces = [tmp_path / "0.mkv", tmp_path / "1.mkv"]
    for span, piece, crf in zip(spans, pieces, (5.0, 20.0), strict=True):
        edit_piece(job(source, piece, crf=crf), fakes.editor("smile=1"), span, stages=Stages())
    shorter = (spans[0], Span(spans[1].start, None, spans[1].begin, spans[1].frames - 1))
    with pytest.raises(SinkError, match=r"holds \d+ pictures, expected \d+; run it without --segments"):
        join_pieces(job(source, tmp_path / "out.mp4"), shorter, pieces)
    edit_piece(job(source, tmp_path / "2.mkv", codec="libx265"), fakes.editor("smile=1"), spans[1], stages=Stages())
    with pytest.raises(SinkError, match="different headers"):
        join_pieces(job(source, tmp_path / "out.mp4"), spans, [pieces[0], tmp_path / "2.mkv"])
    with pytest.raises(SourceError, match="could be decoded, expected 99"):
        edit_piece(
            job(source, tmp_path / "3.mkv"), fakes.editor("smile=1"),
            Span(spans[1].start, None, spans[1].begin, 99), stages=Stages(),
        )  # fmt: skip
    assert not (tmp_path / "out.mp4").exists()
