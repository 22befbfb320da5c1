"""What a job has made: annotations, posteriors, peaks; and what somebody corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyannote.core import Annotation

from sed.audio import Recording
from sed.files import whole_file
from sed.formats import FORMATS, AnnotatedRecording
from sed.service.database import sync_file
from sed.service.jobs import Job
from sed.service.reductions import Course, Peaks, load_arrays, save_arrays

_PAST_END = 0.05
"""Seconds by which a corrected annotation may pass the end: formats round, tools add a frame."""

_MEDIA_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".eaf": "application/xml",
    ".vtt": "text/vtt; charset=utf-8",
}


def media_type(format: str) -> str:
    """Media type of a format.

    Examples
    --------
    >>> media_type("rttm"), media_type("json")
    ('text/plain; charset=utf-8', 'application/json')
    """
    return _MEDIA_TYPES.get(FORMATS[format].suffixes[0], "text/plain; charset=utf-8")


def as_text(recordings: Sequence[AnnotatedRecording], format: str) -> str:
    """File of a format as a text.

    Raises
    ------
    ValueError
        If the format holds one channel and there are more, or cannot hold what is in them.
    """
    chosen = FORMATS[format]
    if chosen.single and len(recordings) > 1:
        channels = " or ".join(str(recording.channel) for recording in recordings)
        raise ValueError(f"{format} holds one channel; ask for channel={channels}")
    if chosen.document is not None:
        body = chosen.document(recordings)
    else:
        body = chosen.separator.join(map(chosen.encode, recordings))
    return chosen.header + body + chosen.footer


class Results:
    """Files of one job.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._model, self._corrected = folder / "result.json", folder / "corrected.json"
        self._posteriors, self._peaks = folder / "posteriors.npz", folder / "peaks.npz"

    def save(self, recordings: Sequence[AnnotatedRecording], courses: Mapping[int, Course]) -> None:
        """Store what the model has found.

        Parameters
        ----------
        recordings : sequence of AnnotatedRecording
            One for each channel.
        courses : mapping of int to Course
            By channel.
        """
        arrays: dict[str, np.ndarray] = {}
        for channel, course in courses.items():
            arrays[f"step_{channel}"] = np.array(course.step)
            arrays[f"classes_{channel}"] = np.array(course.classes)
            arrays[f"posteriors_{channel}"] = course.posteriors.astype(np.float16)
        save_arrays(self._posteriors, **arrays)
        self._write(self._model, recordings)

    def correct(self, recordings: Sequence[AnnotatedRecording]) -> None:
        """Store what somebody made of it, beside what the model has found."""
        self._write(self._corrected, recordings)

    def _write(self, path: Path, recordings: Sequence[AnnotatedRecording]) -> None:
        with whole_file(path) as stream:
            stream.write(as_text(recordings, "json"))
        sync_file(path)

    def annotations(self, version: str) -> list[AnnotatedRecording]:
        """Annotation of each channel.

        Parameters
        ----------
        version : {"model", "corrected"}

        Raises
        ------
        FileNotFoundError
            If there is no such version.
        """
        path = self._model if version == "model" else self._corrected
        return FORMATS["json"].parse(path.read_text(encoding="utf-8"), path.name, None)

    def courses(self) -> dict[int, Course]:
        """Posteriors by channel.

        Raises
        ------
        FileNotFoundError
            If there are none.
        """
        arrays = load_arrays(self._posteriors)
        channels = sorted(int(name.removeprefix("step_")) for name in arrays if "step_" in name)
        return {
            channel: Course(
                float(arrays[f"step_{channel}"]),
                tuple(arrays[f"classes_{channel}"].tolist()),
                arrays[f"posteriors_{channel}"].astype(np.float32),
            )
            for channel in channels
        }

    def peaks(self, job: Job, audio: Path) -> dict[int, Peaks]:
        """Envelope by channel; found when it is first asked for, then kept.

        Raises
        ------
        OSError, ValueError
            If the audio cannot be read.
        """
        try:
            arrays = load_arrays(self._peaks)
        except FileNotFoundError:
            recording = Recording.open(audio, channel=job.options.number)
            sides = recording.split() if job.options.channel == "split" else (recording,)
            arrays = {}
            for channel, side in zip(job.channels, sides, strict=True):
                found = Peaks.of(side)
                arrays[f"step_{channel}"] = np.array(found.step)
                arrays[f"range_{channel}"] = np.stack([found.low, found.high])
            save_arrays(self._peaks, **arrays)
        return {
            channel: Peaks(float(arrays[f"step_{channel}"]), *arrays[f"range_{channel}"])
            for channel in job.channels
        }


def corrected(
    text: str,
    job: Job,
    format: str,
    *,
    channel: int | None = None,
    others: Sequence[AnnotatedRecording] = (),
) -> list[AnnotatedRecording]:
    """Corrected annotation of a job, one recording for each of its channels.

    Parameters
    ----------
    text : str
    job : Job
    format : str
    channel : int, optional
        The only channel that the text is about.
    others : sequence of AnnotatedRecording
        What the other channels keep then; without `channel`, those without segments have none.

    Raises
    ------
    ValueError
        If the text is malformed, speaks of several recordings or of another channel, or goes past
        the end.
    """
    given = FORMATS[format].parse(text, f"the {format} sent", None)
    if len({recording.uri for recording in given}) > 1:
        raise ValueError("the annotation sent holds several recordings; send one")
    if channel is None and FORMATS[format].single and len(job.channels) > 1:
        channels = " or ".join(map(str, job.channels))
        raise ValueError(f"{format} holds one channel; say which: channel={channels}")
    if channel is not None or FORMATS[format].single:  # which does not know its channel
        given = [replace(item, channel=channel or job.channels[0]) for item in given]
    found = {} if channel is None else {item.channel: item for item in others}
    found.pop(channel or 0, None)
    for item in given:
        if item.channel not in job.channels or item.channel in found:
            raise ValueError(
                f"the annotation sent is of channel {item.channel}; the job has "
                f"{', '.join(map(str, job.channels))}, each once"
            )
        found[item.channel] = item
        end = max((segment.end for segment in item.annotation.itersegments()), default=0.0)
        if end > job.duration + _PAST_END:
            raise ValueError(
                f"the annotation sent reaches {end:.3f} s; the recording ends at "
                f"{job.duration:.3f} s"
            )
    result = []
    for number in job.channels:
        annotation = found[number].annotation if number in found else Annotation()
        annotation.uri = job.uri
        result.append(AnnotatedRecording(annotation, duration=job.duration, channel=number))
    return result
