"""Sound that is loud exactly when the mouth is open, so that sound and picture can be measured against each other."""

from collections.abc import Iterator
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from .paths import Path, random_of

Voice = Literal["none", "tone", "speech"]
VOICES: tuple[Voice, ...] = get_args(Voice)

SAMPLE_RATE: Final = 48000
BLOCK: Final = 1024
TONE_HERTZ: Final = 440.0
PITCH_HERTZ: Final = 140.0
FORMANTS: Final = ((600.0, 120.0, 1.0), (1400.0, 200.0, 0.5), (2600.0, 300.0, 0.25))
"""(hertz, width, weight) of the resonances that make a buzz sound like a vowel."""
LOUDNESS: Final = 0.4


def sound_blocks(voice: Voice, opening: Path, samples: int, seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """Blocks of (n,) float32 in -1..1, `samples` in all at 48 kHz, one channel.

    opening: how far the mouth is open over time, 0..1; the sound's envelope is this very path. voice: "tone" is a
    sine, "speech" a buzz with vowel-like resonances and breath. Raises ValueError for another one.
    """
    if voice not in ("tone", "speech"):
        raise ValueError(f"expected the voice tone or speech, got {voice!r}")
    random = random_of(seed, "sound")
    for start in range(0, samples, BLOCK):
        seconds = np.arange(start, min(start + BLOCK, samples)) / SAMPLE_RATE
        if voice == "tone":
            carrier = np.sin(2 * np.pi * TONE_HERTZ * seconds)
        else:
            carrier = 0.9 * _buzz(seconds) + 0.1 * random.uniform(-1, 1, seconds.size)
        yield np.asarray(LOUDNESS * opening(seconds) * carrier, dtype=np.float32)


def _buzz(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A pulse train through resonances, as its harmonics; its pitch wavers by a few per cent."""
    phase = 2 * np.pi * PITCH_HERTZ * seconds + 1.5 * np.sin(2 * np.pi * 0.7 * seconds)
    harmonics = np.arange(1, 28)
    hertz = PITCH_HERTZ * harmonics
    weights = 0.3 / harmonics
    for centre, width, weight in FORMANTS:
        weights = weights + weight / (1 + ((hertz - centre) / width) ** 2)
    return np.asarray(np.sin(np.outer(phase, harmonics)) @ weights / np.sum(weights), dtype=np.float64)
