"""WavLM-large under a linear layer: SpeechBrain's interface against `sed`, in one run.

    python benchmarks/encoder.py [--durations 10 60] [--dtypes float32 bfloat16 int8] [--hours 1]

Both load the same checkpoint, in the layout of the published one, and hear the same recording of
real speech where ../shared/corpora is present, else the example call over and over; every frame is
computed, pauses too. The weights are random: they cost the time of trained ones. Each figure is
the best of `--repeats` runs in a process of its own, without loading; memory is the peak of that
whole process, with loading. SpeechBrain takes one pass over the whole recording; past ten minutes
that needs more memory than most machines have, so `--hours` is for `sed` alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from wavlm_large import save_encoder

SAMPLE_RATE = 16_000
ROOT = Path(__file__).resolve().parents[1]
SPEECH = ROOT.parent / "shared" / "corpora" / "conversational"

HYPERPARAMETERS = """
wav2vec2_hub: {source}
encoder_dim: {width}
out_n_neurons: 4
window_length: 1
stride: 1

input_norm: !new:speechbrain.processing.features.InputNormalization
  norm_type: sentence
  std_norm: False

wav2vec2: !new:speechbrain.integrations.huggingface.wavlm.WavLM
  source: !ref <wav2vec2_hub>
  output_norm: True
  freeze: False
  freeze_feature_extractor: False
  save_path: {folder}/cache

avg_pool: !new:speechbrain.nnet.pooling.Pooling1d
  pool_type: avg
  kernel_size: !ref <window_length>
  stride: !ref <stride>
  ceil_mode: True

output_mlp: !new:speechbrain.nnet.linear.Linear
  input_size: !ref <encoder_dim>
  n_neurons: !ref <out_n_neurons>
  bias: False

model: !new:torch.nn.ModuleList
  - [!ref <output_mlp>]

log_softmax: !new:speechbrain.nnet.activations.Softmax
  apply_log: True

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

modules:
  input_norm: !ref <input_norm>
  wav2vec: !ref <wav2vec2>
  wav2vec2: !ref <wav2vec2>
  output_mlp: !ref <output_mlp>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    wav2vec2: !ref <wav2vec2>
    model: !ref <model>
    label_encoder: !ref <label_encoder>
  paths:
    wav2vec2: {folder}/wav2vec2.ckpt
    model: {folder}/model.ckpt
    label_encoder: {folder}/label_encoder.txt
"""


def make_checkpoint(folder: Path) -> None:
    """Write a checkpoint of random weights as SpeechBrain publishes them."""
    import torch

    encoder = save_encoder(folder / "encoder")
    weights = {f"model.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save(weights, folder / "wav2vec2.ckpt")
    # Random features under a large classifier: posteriors that make up their mind.
    torch.save({"0.w.weight": torch.randn(4, 1024) * 0.1}, folder / "model.ckpt")
    labels = "".join(f"'{letter}' => {index}\n" for index, letter in enumerate("ahns"))
    label_encoder = f"{labels}================\n'starting_index' => 0\n"
    (folder / "label_encoder.txt").write_text(label_encoder, encoding="utf-8")
    (folder / "hyperparams.yaml").write_text(
        HYPERPARAMETERS.format(source=folder / "encoder", width=1024, folder=folder),
        encoding="utf-8",
    )


def make_recording(path: Path, seconds: float) -> None:
    """Write `seconds` of speech as a 16 kHz mono wav."""
    import soundfile

    from sed.audio import Recording, find_recordings

    sources = list(find_recordings(SPEECH if SPEECH.is_dir() else ROOT / "examples"))
    talk = np.concatenate([Recording.open(source).samples(SAMPLE_RATE) for source in sources])
    left = round(seconds * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, subtype="PCM_16") as stream:
        while left > 0:
            stream.write(talk[:left])
            left -= len(talk)


def best(function: Any, repeats: int) -> tuple[float, Any]:
    """Fewest seconds of some runs, and what the last one gave."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def run_speechbrain(folder: Path, path: Path, repeats: int) -> tuple[float, np.ndarray]:
    """Seconds and (num_frames, 4) posteriors of SpeechBrain's interface."""
    import soundfile
    import torch
    from speechbrain.inference.diarization import Speech_Emotion_Diarization

    system = Speech_Emotion_Diarization.from_hparams(source=str(folder), savedir=str(folder / "sb"))
    waveform = torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None]
    with torch.inference_mode():
        seconds, _ = best(
            lambda: system.diarize_batch(waveform, torch.ones(1), ["recording"]), repeats
        )
        encoded = system.encode_batch(waveform, torch.ones(1))
        logits = system.mods.output_mlp(system.hparams.avg_pool(encoded))
    return seconds, logits[0].softmax(dim=-1).numpy()


def run_sed(folder: Path, path: Path, repeats: int, dtype: str) -> tuple[float, np.ndarray]:
    """Seconds of the whole pipeline, and its posteriors."""
    from sed.audio import Recording
    from sed.pipeline import Pipeline
    from sed.vad import vad_named

    pipeline = Pipeline.from_pretrained(folder, dtype=dtype, vad=vad_named("none"))
    found: list[np.ndarray] = []

    def keep(step: str, artifact: Any, **progress: float) -> None:
        if step == "emotions" and artifact is not None:
            found[:] = [artifact.data]

    recording = Recording.open(path)
    seconds, _ = best(lambda: pipeline(recording, hook=keep), repeats)
    return seconds, found[0]


def measure(system: str, folder: Path, path: Path, repeats: int) -> dict[str, Any]:
    """Figures of one system on one recording, from a process of its own."""
    posteriors = path.with_suffix(f".{system}.npy")
    command = [sys.executable, __file__, "--one", system, str(folder), str(path), str(posteriors)]
    process = subprocess.Popen(
        [*command, "--repeats", str(repeats)], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        return {"seconds": float("nan"), "gigabytes": usage.ru_maxrss / 2**20}
    seconds = json.loads(printed.splitlines()[-1])
    return {
        "seconds": seconds,
        "gigabytes": usage.ru_maxrss / 2**20,
        "posteriors": np.load(posteriors),
    }


def report(duration: float, figures: dict[str, dict[str, Any]]) -> None:
    """Print one recording's table."""
    print(f"\n{duration:g} s of audio")
    print(f"{'':24}{'seconds':>9}{'ratio':>8}{'GB':>7}   beside float32")
    peer = figures.get("speechbrain", {}).get("seconds", float("nan"))
    reference = figures.get("float32", {}).get("posteriors")
    for system, figure in figures.items():
        line = f"{system:24}{figure['seconds']:9.2f}{peer / figure['seconds']:7.2f}x"
        line += f"{figure['gigabytes']:7.2f}"
        if reference is not None and "posteriors" in figure and system != "float32":
            found = figure["posteriors"]
            length = min(len(found), len(reference))
            distance = np.abs(found[:length] - reference[:length])
            same = found[:length].argmax(axis=1) == reference[:length].argmax(axis=1)
            line += (
                f"   posteriors differ by {distance.mean():.4f} ({distance.max():.3f} at most), "
            )
            line += f"labels agree on {same.mean():.1%}"
        print(line, flush=True)


def main() -> None:
    """Run all systems on all recordings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--durations", type=float, nargs="*", default=[10, 60])
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--hours", type=float, nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        system, folder, path, posteriors = options.one
        run = (Path(folder), Path(path), options.repeats)
        seconds, found = run_speechbrain(*run) if system == "speechbrain" else run_sed(*run, system)
        np.save(posteriors, found)
        print(json.dumps(seconds))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, WavLM-large")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_checkpoint(folder)
        for duration in [*options.durations, *(3600 * hours for hours in options.hours)]:
            path = folder / f"{duration:g}.wav"
            make_recording(path, duration)
            long = duration > 600
            systems = [*([] if long else ["speechbrain"]), *options.dtypes]
            report(
                duration,
                {
                    system: measure(system, folder, path, 1 if long else options.repeats)
                    for system in systems
                },
            )


if __name__ == "__main__":
    main()
