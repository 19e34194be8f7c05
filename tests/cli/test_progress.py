"""Progress for people and for programs, with a clock of our own."""

import io

import pytest
import typer

from dynstream.cli.progress import STYLES, FfmpegBlocks, check_style, count_frames


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def blocks(text: str) -> list[dict[str, str]]:
    out: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        name, _, value = line.partition("=")
        out[-1][name] = value
        if name == "progress":
            out.append({})
    assert out.pop() == {}
    return out


def test_a_block_at_most_every_half_second() -> None:
    clock, out = Clock(), io.StringIO()
    progress = FfmpegBlocks(out, 0.04, clock)
    for frame in range(1, 101):
        clock.now += 0.02
        progress.count(frame)
    progress.write("end")
    found = blocks(out.getvalue())
    assert [block["frame"] for block in found] == ["25", "50", "75", "100", "100"]
    assert [block["progress"] for block in found] == ["continue"] * 4 + ["end"]


def test_the_fields_are_those_of_ffmpeg() -> None:
    clock, out = Clock(), io.StringIO()
    progress = FfmpegBlocks(out, 1001 / 24000, clock)
    clock.now += 40
    progress.count(240)
    (block,) = blocks(out.getvalue())
    assert block == {
        "frame": "240", "fps": "6.00", "out_time_us": "10010000", "out_time": "00:00:10.010000",
        "dup_frames": "0", "drop_frames": "0", "speed": "0.25x", "progress": "continue",
    }  # fmt: skip
    assert next(iter(block)) == "frame"
    assert list(block)[-1] == "progress"


@pytest.mark.parametrize(
    ("frames", "seconds", "shown"),
    [
        (0, 0.04, "00:00:00.000000"),
        (1, 59.9999999, "00:01:00.000000"),
        (90000, 0.04, "01:00:00.000000"),
        (1, 100 * 3600 + 61.5, "100:01:01.500000"),
    ],
)
def test_times(frames: int, seconds: float, shown: str) -> None:
    out = io.StringIO()
    progress = FfmpegBlocks(out, seconds, Clock())
    progress.count(frames)
    progress.write("end")
    assert blocks(out.getvalue())[-1]["out_time"] == shown


def test_no_time_has_passed() -> None:
    out = io.StringIO()
    FfmpegBlocks(out, 0.04, Clock()).write("end")
    assert blocks(out.getvalue())[0]["frame"] == "0"


def test_styles() -> None:
    assert all(check_style(style) == style for style in STYLES)
    with pytest.raises(typer.BadParameter, match="expected one of auto, bar, ffmpeg, none, got 'loud'"):
        check_style("loud")


@pytest.mark.parametrize("style", ["none", "auto"])
def test_nothing_is_shown_where_nobody_looks(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    with count_frames(style, "clip", 3, 0.04) as count:
        for done in range(1, 4):
            count(done)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [3, None])
def test_a_bar(total: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    with count_frames("bar", "clip.mp4", total, 0.04) as count:
        count(2)
        count(3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "clip.mp4" in captured.err
    assert "3/" in captured.err


@pytest.mark.parametrize("name", ["clip [final].mp4", "clip [/b].mp4"])
def test_brackets_in_a_name_are_no_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with count_frames("bar", name, 3, 0.04) as count:
        count(3)
    assert name in capsys.readouterr().err


def test_blocks_end_when_the_work_does(capsys: pytest.CaptureFixture[str]) -> None:
    with count_frames("ffmpeg", "clip", 3, 0.04) as count:
        count(3)
    assert capsys.readouterr().err.endswith("progress=end\n")
    with pytest.raises(RuntimeError), count_frames("ffmpeg", "clip", 3, 0.04) as count:
        raise RuntimeError
    assert "end" not in capsys.readouterr().err
