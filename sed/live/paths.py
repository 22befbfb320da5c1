"""Which emotion it is in each frame of speech, while more frames come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sed.best_paths import Stretch, Trellis
from sed.decoding import Decoding, log_scores


class LivePath:
    """The path of a `sed.decoding.Decoding` through a stream of posteriors.

    ::

        posteriors    =========================|- - - - - - -
        path          n n n n n h h h h h h h h|h h h h n n n
                                               settled       end: the last stretch may be young

    What has settled is where everything after it goes on from, so a path never contradicts itself.

    Parameters
    ----------
    decoding : Decoding
        Whose path is "viterbi" or "argmax", with a smoothing that ends somewhere.
    labels : sequence of str
    neutral : int
        Place of neutral among them.
    step : float
        Seconds of a frame.

    Raises
    ------
    ValueError
        If the path needs the whole recording.
    """

    def __init__(
        self, decoding: Decoding, labels: Sequence[str], neutral: int, step: float
    ) -> None:
        for name, value, others in (
            ("path", decoding.path, ("viterbi", "argmax")),
            ("smoothing", decoding.smoothing, ("none", "mean", "median")),
        ):
            if value not in others:
                raise ValueError(
                    f"{name} {value} needs the whole recording; in a stream take "
                    f"{' or '.join(others)}"
                )
        self._decoding, self._labels, self._neutral, self._step = decoding, labels, neutral, step
        self._min_frames = max(1, round(decoding.min_duration_on / step))
        window = max(1, round(decoding.smoothing_duration / step))
        self._reach = 0 if decoding.smoothing == "none" else window // 2
        self._before: Stretch | None = None
        self._context = np.empty((0, len(labels)), dtype=np.float32)
        self._smooth = self._context
        self._path = np.empty(0, dtype=np.int8)

    def __call__(self, posteriors: np.ndarray, *, num_settled: int, last: bool) -> int:
        """Find the best path.

        Parameters
        ----------
        posteriors : (num_frames, num_classes) np.ndarray
            Of all frames whose class has not settled.
        num_settled : int
            Of these, how many nothing changes any more.
        last : bool
            Whether nothing follows.

        Returns
        -------
        int
            Frames whose class is certain.
        """
        around = np.concatenate((self._context, posteriors))
        smooth = self._decoding.smoothed(around, self._neutral, self._step)
        self._smooth = smooth[len(self._context) :]
        certain = len(posteriors) if last else max(0, num_settled - self._reach)
        if self._decoding.path == "argmax" or len(posteriors) == 0:
            self._path = self._smooth.argmax(axis=1)
            return certain
        penalty = self._decoding.switch_penalty
        scores = log_scores(self._smooth)
        trellis = Trellis(scores, self._min_frames, penalty, self._before)
        self._path = trellis.closed() if last else trellis.open()
        if not last:
            of_certain = Trellis(scores[:certain], self._min_frames, penalty, self._before)
            certain = of_certain.num_certain()
        return certain

    def settle(self, posteriors: np.ndarray) -> np.ndarray:
        """The class of the first frames is what it is.

        Parameters
        ----------
        posteriors : (num_frames, num_classes) np.ndarray
            Theirs.

        Returns
        -------
        (num_frames,) np.ndarray of int
            Neutral where the posterior does not reach the threshold.
        """
        count = len(posteriors)
        path, smooth = self._path[:count], self._smooth[:count]
        self._path, self._smooth = self._path[count:], self._smooth[count:]
        if count:
            changes = np.flatnonzero(path != path[-1])
            length = count if len(changes) == 0 else count - 1 - int(changes[-1])
            index = int(path[-1])
            if length == count and self._before is not None and self._before.index == index:
                length += self._before.num_frames
            self._before = Stretch(index, min(length, self._min_frames))
        kept = np.concatenate((self._context, posteriors))
        self._context = kept[len(kept) - min(len(kept), self._reach) :]
        return self._decoding.confident(path, smooth, self._labels, self._neutral)
