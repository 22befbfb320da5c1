"""`sed simulate`: recordings with known emotion boundaries, as files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sed.cli.errors import naming, one_line_errors

if TYPE_CHECKING:
    from sed.corpora.augmentation import Augmentation, Sounds
    from sed.corpora.simulated_sets import SimulatedSet
    from sed.corpora.simulation import Simulation

EPILOG = """
A recording is the same whatever --num is. A later run completes what is missing and keeps the rest.

Exit status: 0 all well, 2 wrong use.

Examples:

  sed simulate emodb ravdess --data-folder corpora/ --output simulated/ --num 500

  sed simulate emodb --data-folder corpora/ --output calls/ --num 500
      --split manifests/emodb/train.json --sequences "NENE=0.5 NEN=0.5" --pause 0.2 1.5
      --noise noises/ --snr 5 25 --telephone 0.5

  sed score --ref simulated/reference.json --hyp out/
"""

WHO, HOW, SOUND = "Whose speech", "Sequences", "Sound"
"""Panels of the help."""

LABELS = {"amused": "happy", "excited": "happy"}
"""What emotions count as, unless told otherwise: as in the published recipe."""

SNR = (5.0, 30.0)
"""Range of the signal-to-noise ratio in dB."""


class AudioFormat(StrEnum):
    """What recordings are written as."""

    WAV = "wav"
    FLAC = "flac"


def simulate(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...", help="Names of sed prepare --list.", show_default=False
        ),
    ],
    data_folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder that holds the corpora; only read.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where audio and reference are written.")
    ],
    num: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many recordings.")],
    seed: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Another one draws anew.")] = 0,
    speakers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Only these, several with commas; CORPUS:NAME where two corpora have the same.",
            rich_help_panel=WHO,
        ),
    ] = None,
    split: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Only recordings of this manifest of sed prepare; the option again for several.",
            rich_help_panel=WHO,
        ),
    ] = None,
    emotions: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Emotions beside neutral.", rich_help_panel=WHO),
    ] = "happy,sad,angry",
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EMOTION=EMOTION",
            help="What another emotion counts as; amused and excited count as happy.",
            rich_help_panel=WHO,
        ),
    ] = None,
    sequences: Annotated[
        str,
        typer.Option(
            metavar="PROBABILITIES",
            help="Sequences of N (neutral) and E (emotional), of any length.",
            rich_help_panel=HOW,
        ),
    ] = "E=0.25 NE=0.25 EN=0.25 NEN=0.25",
    pause: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="MIN MAX", help="Silence between clips in seconds.", rich_help_panel=HOW
        ),
    ] = (0.0, 0.0),
    crossfade: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Let clips overlap; beside a pause they fade.",
            rich_help_panel=HOW,
        ),
    ] = 0.0,
    vad: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What finds the silences above 0.2 s: silero, energy or none.",
            rich_help_panel=HOW,
        ),
    ] = "silero",
    noise: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Add one of these noises to each.", rich_help_panel=SOUND
        ),
    ] = None,
    snr: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="MIN MAX",
            help="Signal-to-noise ratio in dB, 5 to 30 by default.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Put each into one of these rooms (impulse responses).",
            rich_help_panel=SOUND,
        ),
    ] = None,
    telephone: Annotated[
        float,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="How often only 300 to 3400 Hz are left.",
            rich_help_panel=SOUND,
        ),
    ] = 0.0,
    vocal_tract: Annotated[
        float,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="How often formants move by up to a tenth, and pitch stays.",
            rich_help_panel=SOUND,
        ),
    ] = 0.0,
    band: Annotated[
        float,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="How often only a random band is left.",
            rich_help_panel=SOUND,
        ),
    ] = 0.0,
    mp3: Annotated[
        float,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="How often each is what an MP3 of 8 to 64 kbit/s leaves of it.",
            rich_help_panel=SOUND,
        ),
    ] = 0.0,
    sample_rate: Annotated[
        int,
        typer.Option(
            metavar="HZ",
            min=8000,
            max=48_000,
            help="Samples per second.",
            rich_help_panel=SOUND,
        ),
    ] = 16_000,
    format: Annotated[
        AudioFormat,
        typer.Option("--format", help="What audio is written as.", rich_help_panel=SOUND),
    ] = AudioFormat.WAV,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only: no progress, no count.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Simulate recordings in which the emotion changes, from corpora of one emotion a recording.

    Clips of one speaker, silences removed, equally loud, one after the other.
    """
    with one_line_errors(debug=debug):
        if snr is not None and noise is None:
            raise ValueError("--snr is that of noise; add --noise FOLDER")
        if snr is not None and not -100.0 <= snr[0] <= snr[1] <= 100.0:
            raise ValueError(
                f"--snr takes the smaller ratio first, from -100 to 100 dB, not {snr[0]} {snr[1]}"
            )
        odds = parse_sequences(sequences)
        from sed import __version__
        from sed.corpora import Corpus
        from sed.corpora.augmentation import MP3_SAMPLE_RATES, Augmentation
        from sed.corpora.selection import select
        from sed.corpora.simulated_sets import SimulatedSet, fingerprint_of
        from sed.corpora.simulation import SHORT_SILENCES, Simulation, lazy_clips
        from sed.labels import NEUTRAL, canonical, parse_mapping
        from sed.vad import vad_named

        if mp3 and sample_rate not in MP3_SAMPLE_RATES:
            known = ", ".join(map(str, MP3_SAMPLE_RATES))
            raise ValueError(f"no MP3 has {sample_rate} Hz; --sample-rate takes {known}")
        classes = sorted({NEUTRAL, *map(canonical, _several([emotions]))})
        chosen = {corpus.label: corpus for corpus in map(Corpus.named, corpora)}
        homes = [corpus.find(data_folder) for corpus in chosen.values()]
        _keep_apart(output, [*homes, noise, rooms])
        found = select(
            chosen.values(),
            data_folder,
            classes=classes,
            speakers=_several(speakers or []),
            manifests=split or [],
            labels={**LABELS, **parse_mapping(_several(labels or []))},
        )
        simulation = Simulation(
            lazy_clips(found, vad=vad_named(vad), binarize=SHORT_SILENCES, sample_rate=sample_rate),
            classes=classes,
            sample_rate=sample_rate,
            sequences=odds,
            pause=pause,
            crossfade=crossfade,
        )
        for corpus in chosen.values():
            if corpus.name not in simulation.corpora:
                raise ValueError(
                    f"no speaker of {corpus.label} has what the sequences need of "
                    f"{', '.join(classes)}; leave it out, or choose other speakers or emotions"
                )
        noises, responses = _sounds(noise, sample_rate), _sounds(rooms, sample_rate)
        changes = {"telephone": telephone, "vtlp": vocal_tract, "band": band, "mp3": mp3}
        there = SimulatedSet(
            output,
            {
                "version": __version__,
                "corpora": sorted(chosen),
                "recordings": fingerprint_of(found),
                "seed": seed,
                "emotions": classes,
                "sequences": odds,
                "pause": pause,
                "crossfade": crossfade,
                "vad": vad,
                "noise": _names(noises),
                "snr": snr or SNR,
                "rooms": _names(responses),
                **{name: often for name, often in changes.items() if often or name == "telephone"},
                "sample_rate": sample_rate,
            },
            format=format.value,
        )
        augmentation = None
        if noises or responses or any(changes.values()):
            augmentation = Augmentation(
                noises,
                noise_probability=1.0 if noises else 0.0,
                snr=snr or SNR,
                colour=0.0,
                gain=(0.0, 0.0),
                rooms=responses,
                room_probability=1.0,
                telephone_probability=telephone,
                vtlp_probability=vocal_tract,
                band_probability=band,
                mp3_probability=mp3,
            )
        missing = there.missing(num)
        with naming(output):
            _write(there, missing, simulation, augmentation, seed=seed, quiet=quiet)
        if not quiet:
            new = f"{len(missing)} new recordings" if missing else "up to date"
            typer.echo(f"{output}: {new}, {len(there)} in all")


def parse_sequences(text: str) -> dict[str, float]:
    """Sequences and their probabilities.

    Raises
    ------
    ValueError
        If one is malformed, stands twice, or has no probability.

    Examples
    --------
    >>> parse_sequences("NE=0.5 NEN=0.5")
    {'NE': 0.5, 'NEN': 0.5}
    """
    odds: dict[str, float] = {}
    for pair in text.replace(",", " ").split():
        sequence, _, probability = pair.partition("=")
        if sequence in odds:
            raise ValueError(f"--sequences has {sequence!r} twice; keep one of them")
        try:
            odds[sequence] = float(probability)
        except ValueError:
            raise ValueError(
                f"--sequences has {pair!r}; write SEQUENCE=PROBABILITY, such as NEN=0.25"
            ) from None
    return odds


def _several(given: Iterable[str]) -> list[str]:
    """Names that stand in several options, or in one with commas."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def _keep_apart(output: Path, folders: Iterable[Path | None]) -> None:
    """Refuse to write where something is read from.

    Raises
    ------
    ValueError
        If the output is in one of the folders.
    """
    for folder in folders:
        if folder is not None and output.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"{output} is part of {folder}, where nothing is written; name another folder for "
                "the output"
            )


def _sounds(folder: Path | None, sample_rate: int) -> Sounds | tuple[()]:
    """Noises or rooms of a folder, none without one."""
    from sed.corpora.augmentation import Sounds

    return () if folder is None else Sounds(folder, sample_rate)


def _names(sounds: Sounds | tuple[()]) -> str | None:
    """Hash of the names of noises or rooms."""
    from sed.corpora.simulated_sets import fingerprint

    if not sounds:
        return None
    return fingerprint([path.relative_to(sounds.folder).as_posix() for path in sounds.paths])


def _write(
    there: SimulatedSet,
    missing: Sequence[int],
    simulation: Simulation,
    augmentation: Augmentation | None,
    *,
    seed: int,
    quiet: bool,
) -> None:
    """Write the recordings that are missing, and the reference of all."""
    import numpy as np

    from sed.cli.progress import counting_bar

    there.begin()
    with counting_bar(quiet=quiet) as progress:
        for index in progress.track(missing, description="recordings"):
            recording = simulation.numbered(index, seed)
            if augmentation is not None:  # its own numbers: the clips are those of a clean run
                rng = np.random.default_rng((seed, index, 1))
                samples = augmentation(recording.samples, recording.sample_rate, rng)
                recording = replace(recording, samples=samples)
            there.add(index, recording)
    there.finish()
