"""Make `call.wav`: a two-party service call, spoken by eSpeak NG, one party a channel.

    python examples/make_call.py

The agent is on channel 1 and stays calm; the caller, on channel 2, becomes angry, then relieved.
Pitch, rate and loudness carry the mood, as far as a formant synthesizer goes. Needs the program
`espeak-ng` and, beyond the package's dependencies, nothing.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import soundfile

from sed.audio import Recording

SAMPLE_RATE = 8_000
PAUSE = 0.35
AGENT, CALLER = 0, 1

# voice, words a minute, pitch (0-99), pitch range in %, peak amplitude, text
TURNS = [
    (AGENT, "en-us+f3", 165, 48, 60, 0.25, "Good morning, this is the repair service. How can I help?"),
    (CALLER, "en+m3", 150, 38, 50, 0.25, "Good morning. I am calling about the washing machine you repaired."),
    (AGENT, "en-us+f3", 165, 48, 60, 0.25, "Yes, I can see the order. What happened?"),
    (CALLER, "en+m3", 200, 70, 150, 0.75, "It is broken again! There is water all over my kitchen!"),
    (CALLER, "en+m3", 215, 78, 170, 0.80, "This is the third time, and nobody ever calls me back!"),
    (AGENT, "en-us+f3", 150, 44, 50, 0.22, "I am very sorry. A technician will be with you at noon."),
    (CALLER, "en+m3", 115, 22, 15, 0.12, "I have lost two days of work already. I am so tired of this."),
    (AGENT, "en-us+f3", 160, 46, 60, 0.24, "There will be no charge, and you get a new machine today."),
    (CALLER, "en+m3", 190, 62, 180, 0.45, "Oh, that is wonderful! Thank you, thank you so much!"),
]  # fmt: skip


def speak(voice: str, rate: int, pitch: int, pitch_range: int, text: str) -> np.ndarray:
    """Mono speech of one sentence at the call's sampling rate, peak 1."""
    markup = f'<speak><prosody range="{pitch_range}%">{text}</prosody></speak>'
    command = ["espeak-ng", "-m", "-v", voice, "-s", str(rate), "-p", str(pitch), "--stdout"]
    wav = subprocess.run([*command, markup], capture_output=True, check=True).stdout
    samples, sample_rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    speech = Recording.from_samples(samples, sample_rate).samples(SAMPLE_RATE)
    return speech / np.abs(speech).max()


def main() -> None:
    """Lay the turns one after the other, each on its party's channel, over faint line noise."""
    rng = np.random.default_rng(0)
    spoken = [
        (channel, peak * speak(voice, rate, pitch, pitch_range, text))
        for channel, voice, rate, pitch, pitch_range, peak, text in TURNS
    ]
    gap = round(PAUSE * SAMPLE_RATE)
    call = np.zeros((gap + sum(len(samples) + gap for _, samples in spoken), 2))
    start = gap
    for channel, samples in spoken:
        call[start : start + len(samples), channel] = samples
        start += len(samples) + gap
    call += rng.normal(scale=3e-4, size=call.shape)
    path = Path(__file__).parent / "call.wav"
    soundfile.write(path, call, SAMPLE_RATE, subtype="PCM_16")
    print(f"wrote {path.name}: {len(call) / SAMPLE_RATE:.1f} s, two channels of {SAMPLE_RATE} Hz")


if __name__ == "__main__":
    main()
