"""Pieces of sound one after the other, with pauses and cross-fades, and where each of them lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Span = tuple[int, int]


def join(
    pieces: Sequence[np.ndarray], *, pauses: Sequence[int] = (), fade: int = 0
) -> tuple[np.ndarray, list[Span]]:
    r"""One sound of several, and the samples that belong to each.

    ::

        as they are       |===== a =====|===== b =====|
        fade              |===== a ====\X/==== b =====|      they overlap; the boundary is X
        pause             |===== a =====|____|===== b =====|
        pause and fade    |===== a =====\____/===== b =====|  no overlap, soft edges

    Parameters
    ----------
    pieces : sequence of (any,) np.ndarray of float32
    pauses : sequence of int
        Samples of silence after each piece but the last; none by default.
    fade : int
        Samples of a fade of equal power; no more than half of a piece.

    Returns
    -------
    samples : (num_samples,) np.ndarray of float32
    spans : list of (first, last + 1)
        Of each piece; they touch where there is no pause.

    Examples
    --------
    >>> ones, twos = np.ones(4, np.float32), np.full(4, 2, np.float32)
    >>> samples, spans = join([ones, twos], pauses=[2])
    >>> samples.tolist(), spans
    ([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0], [(0, 4), (6, 10)])
    >>> samples, spans = join([ones, twos], fade=2)
    >>> [round(float(x), 2) for x in samples], spans
    ([1.0, 1.0, 1.69, 2.23, 2.0, 2.0], [(0, 3), (3, 6)])
    """
    num_joints = len(pieces) - 1
    gaps = list(pauses) or [0] * num_joints
    if len(gaps) != num_joints:
        raise ValueError(f"{len(pieces)} pieces have {num_joints} pauses, not {len(gaps)}")
    faded = [piece if fade == 0 else piece.copy() for piece in pieces]
    starts, spans, begin = [0], [], 0
    for before, after, gap in zip(faded[:-1], faded[1:], gaps, strict=True):
        length = min(fade, len(before) // 2, len(after) // 2)
        rise = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)).astype(np.float32)
        before[len(before) - length :] *= rise[::-1]
        after[:length] *= rise
        overlap = 0 if gap else length
        end = starts[-1] + len(before) - overlap // 2
        starts.append(starts[-1] + len(before) + gap - overlap)
        spans.append((begin, end))
        begin = end + gap
    spans.append((begin, starts[-1] + len(faded[-1])))
    samples = np.zeros(spans[-1][1], dtype=np.float32)
    filled = 0
    for start, piece in zip(starts, faded, strict=True):
        overlap = max(0, filled - start)
        samples[start:filled] += piece[:overlap]
        filled = start + len(piece)
        samples[start + overlap : filled] = piece[overlap:]
    return samples, spans
