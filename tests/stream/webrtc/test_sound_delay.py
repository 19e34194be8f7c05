import numpy as np
import numpy.typing as npt
import pytest

from dynstream.stream.webrtc.sound_delay import BLOCK, RATE, SLEW, SoundDelay


def tone(blocks: int, hertz: float = 440.0) -> npt.NDArray[np.int16]:
    wave = 10_000 * np.sin(2 * np.pi * hertz * np.arange(blocks * BLOCK) / RATE)
    return np.repeat(wave.astype(np.int16)[:, None], 2, axis=1)


def clicks(blocks: int, every: int) -> npt.NDArray[np.int16]:
    samples = np.zeros((blocks * BLOCK, 2), np.int16)
    samples[::every] = 20_000
    return samples


def run(line: SoundDelay, samples: npt.NDArray[np.int16], start: int = 0) -> npt.NDArray[np.int16]:
    out = []
    for begin in range(0, len(samples), BLOCK):
        out += line.push(samples[begin : begin + BLOCK], start + begin)
    return np.concatenate(out)


def test_the_delay_is_exact_and_the_sound_unchanged() -> None:
    line = SoundDelay(0.1)
    samples = tone(50)
    out = run(line, samples)
    shift = round(0.1 * RATE)
    assert len(out) == len(samples)
    np.testing.assert_array_equal(out[shift + BLOCK :], samples[BLOCK : len(samples) - shift])
    assert line.seconds == pytest.approx(0.1, abs=1e-4)


def test_as_many_blocks_come_out_as_go_in_whatever_the_delay_does() -> None:
    line, chance = SoundDelay(), np.random.default_rng(1)
    for number in range(200):
        line.want(chance.uniform(0, 0.6))
        assert len(line.push(tone(1), number * BLOCK)) == 1


@pytest.mark.parametrize("wanted", [0.02, 0.06, 0.15, 0.25])
def test_it_slews_to_a_new_delay_without_a_leap(wanted: float) -> None:
    line = SoundDelay(0.1)
    run(line, tone(10))
    line.want(wanted)
    out = run(line, tone(450), 10 * BLOCK)
    assert line.seconds == pytest.approx(wanted, abs=0.002)
    largest_step = np.abs(np.diff(out[:, 0].astype(np.int32))).max()
    steepest = 10_000 * 2 * np.pi * 440 * (1 + SLEW) / RATE
    assert largest_step <= steepest * 1.02


def test_the_slew_is_at_most_two_percent() -> None:
    line = SoundDelay(0.05)
    run(line, tone(10))
    line.want(0.2)
    before = line.seconds
    line.push(tone(1), 10 * BLOCK)
    assert line.seconds - before == pytest.approx(SLEW * BLOCK / RATE, rel=0.01)


def test_a_large_error_is_mended_at_once() -> None:
    line = SoundDelay(0.05)
    run(line, tone(60))
    line.want(0.8)
    out = run(line, tone(3), 60 * BLOCK)
    assert line.seconds == pytest.approx(0.8, abs=0.01)
    assert np.abs(np.diff(out[:, 0].astype(np.int32))).max() < 2000  # faded over, not cut


def test_a_wish_before_the_first_sound_holds_from_the_start() -> None:
    line = SoundDelay()
    line.want(0.4)
    out = run(line, clicks(60, every=RATE))
    assert abs(int(np.argmax(out[:, 0] > 5000)) - round(0.4 * RATE)) <= BLOCK + 2 or out[BLOCK:, 0].max() > 5000
    assert line.seconds == pytest.approx(0.4, abs=0.001)


def test_lost_sound_becomes_silence_of_its_length() -> None:
    line = SoundDelay(0.05)
    samples = tone(40)
    blocks = 0
    for number in range(40):
        if number in (10, 11):
            continue
        blocks += len(line.push(samples[number * BLOCK : (number + 1) * BLOCK], number * BLOCK))
    assert blocks == 40
    assert line.seconds == pytest.approx(0.05, abs=0.001)


def test_blocks_of_another_length_are_cut_anew() -> None:
    line = SoundDelay(0.05)
    out = [block for number in range(100) for block in line.push(tone(1)[:441], number * 441)]
    assert len(out) == 100 * 441 // BLOCK
    assert {block.shape for block in out} == {(BLOCK, 2)}


def test_it_goes_on_for_ever() -> None:
    line, second = SoundDelay(0.3), tone(50)
    for number in range(30):
        out = line.push(second, number * 50 * BLOCK)
        assert len(out) == 50
        if number > 1:
            np.testing.assert_array_equal(np.concatenate(out), np.roll(second, round(0.3 * RATE), axis=0))
    line.want(1.9)
    assert len(line.push(second, 30 * 50 * BLOCK)) == 50
    assert line.seconds == pytest.approx(1.9, abs=0.01)


def test_delays_that_cannot_be_are_bounded() -> None:
    line = SoundDelay(-1)
    line.want(99)
    run(line, tone(5))
    assert 1.9 < line.seconds <= 2.0 + BLOCK / RATE
