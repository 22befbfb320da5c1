"""The table of contents: a recording becomes an annotation, one stage a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pyannote.core import Annotation

from sed.audio import Recording
from sed.decoding import Binarize, Decoding
from sed.hub import CONFIG, kind_of, locate
from sed.inference import Inference, Model
from sed.model import EmotionModel
from sed.precision import prepare
from sed.segmentation import Segmentation
from sed.vad import VAD, Hook, Silero
from sed.windows import margin

DEFAULT_MODEL = "timnet-mfcc"


@dataclass(frozen=True)
class Pipeline:
    """Speech emotion diarization: which emotion appears when (Wang et al. 2023, figure 2).

    Parameters
    ----------
    inference : Inference
        The frame-wise classifier on its device.
    segmentation : Segmentation
        Speech to the windows that the classifier hears.
    vad : VAD
        Speech probability of every frame.
    binarize : Binarize
        Speech probabilities to speech.
    decoding : Decoding
        Posteriors to segments.
    front_end : sequence of callable
        Each takes a recording and gives one, such as an enhanced one; applied before the VAD.

    Examples
    --------
    >>> import numpy as np
    >>> pipeline = Pipeline.from_pretrained("timnet-mfcc")
    >>> silence = Recording.from_samples(np.zeros(16_000, dtype=np.float32), 16_000)
    >>> len(pipeline(silence))
    0
    """

    inference: Inference
    segmentation: Segmentation
    vad: VAD = field(default_factory=Silero)
    binarize: Binarize = Binarize()
    decoding: Decoding = Decoding()
    front_end: Sequence[Callable[[Recording], Recording]] = ()

    def __post_init__(self) -> None:
        """Refuse a threshold for an emotion that the model does not know."""
        known = self.inference.model.specifications.classes
        if isinstance(self.decoding.threshold, Mapping):
            for emotion in self.decoding.threshold:
                if emotion not in known:
                    raise ValueError(
                        f"a threshold for {emotion!r}; the model knows {', '.join(known)}"
                    )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = DEFAULT_MODEL,
        *,
        device: str = "cpu",
        dtype: str = "auto",
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        **stages: Any,
    ) -> Pipeline:
        """Pipeline around a model, with the decoding that suits it.

        Parameters
        ----------
        name_or_path : str or Path
            Embedded model, folder or ``owner/name`` on the hub, see
            `sed.model.EmotionModel.from_pretrained`.
        device : str
            A torch device.
        dtype : {"auto", "float32", "bfloat16", "float16", "int8"}
            What the network computes in, see `sed.precision.chosen_dtype`.
        revision, token, cache_dir, local_files_only
            As in ``huggingface_hub``.
        **stages
            Other parts of the pipeline, such as ``vad=`` or ``decoding=``. A `decoding` given as a
            dict changes only what it names.

        Raises
        ------
        ValueError
            If there is no such model, it does not load, or does not run in `dtype` on `device`.
        """
        place: dict[str, Any] = {
            "revision": revision,
            "token": token,
            "cache_dir": cache_dir,
            "local_files_only": local_files_only,
        }
        folder = locate(name_or_path, **place)
        model = load_model(folder, device=device, dtype=dtype, **place)
        try:
            decoding = Decoding(**model.decoding)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / CONFIG} describes no decoding: {error}") from None
        changes = stages.pop("decoding", {})
        if isinstance(changes, Decoding):
            decoding, changes = changes, {}
        specifications = model.specifications
        return cls(
            inference=Inference(model, device),
            segmentation=Segmentation(specifications.window, margin=margin(specifications)),
            decoding=replace(decoding, **changes),
            **stages,
        )

    def __call__(self, source: str | Path | Recording, *, hook: Hook | None = None) -> Annotation:
        """Diarize one recording.

        Parameters
        ----------
        source : str, Path or Recording
            An audio file, mixed down to one channel, or a recording.
        hook : callable, optional
            Told of every stage, see `sed.vad.Hook`.

        Returns
        -------
        Annotation
            Its labels are `sed.labels.Emotion`, full names with a `confidence`; neutral is
            the absence of a segment unless the decoding says otherwise.

        Raises
        ------
        OSError, ValueError
            If the recording cannot be read; the message names it.
        """
        tell = hook or (lambda step, artifact, **progress: None)
        recording = source if isinstance(source, Recording) else Recording.open(source)
        for stage in self.front_end:
            recording = stage(recording)
        probabilities = self.vad(recording, hook=hook)  # (num_frames, 1) SlidingWindowFeature
        speech = self.binarize(probabilities, recording.duration)  # Timeline
        tell("speech", speech)
        windows = self.segmentation(speech)  # Timeline
        posteriors = self.inference(  # (num_frames, num_classes) SlidingWindowFeature
            recording, speech, windows, hook=hook
        )
        tell("emotions", posteriors)
        annotation = self.decoding(posteriors, speech, recording.duration)  # Annotation
        annotation.uri = recording.uri
        tell("segments", annotation)
        return annotation


def load_model(folder: Path, *, device: str, dtype: str, **place: Any) -> Model:
    """Model ready to run: its weights in the dtype asked for, or an exported one in onnxruntime.

    Parameters
    ----------
    folder : Path
        From `sed.hub.locate`.
    device, dtype, **place
        As in `Pipeline.from_pretrained`.
    """
    if kind_of(folder) == "onnx":
        from sed.onnx import OnnxModel

        return OnnxModel(folder, device=device, dtype=dtype)
    model = EmotionModel.from_pretrained(folder, **place)
    return prepare(model, dtype, device)
