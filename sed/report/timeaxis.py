"""The time axis: where its marks stand and what is written there."""

from __future__ import annotations

import math

_STEPS: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
_STEPS += tuple(60 * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440))
MAX_MARKS = 13


def marks(start: float, end: float) -> list[tuple[float, str]]:
    """Times in seconds on whole steps, and how they are written.

    Parameters
    ----------
    start, end : float
        Seconds.

    Examples
    --------
    >>> marks(0.0, 42.0)[:3]
    [(0, '0:00'), (5, '0:05'), (10, '0:10')]
    >>> marks(3500.0, 3900.0)[0], marks(0.0, 0.3)[1]
    ((3540, '0:59:00'), (0.05, '0:00.05'))
    """
    fitting = (step for step in _STEPS if (end - start) / step < MAX_MARKS)
    step = next(fitting, _STEPS[-1] * math.ceil((end - start) / (_STEPS[-1] * MAX_MARKS)))
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    times = [round(number * step, 6) for number in range(first, last + 1)]
    return [(time, clock(time, hours=end >= 3600, fine=step < 1)) for time in times]


def clock(seconds: float, *, hours: bool = False, fine: bool = False) -> str:
    """Time as ``m:ss``, as ``h:mm:ss`` where there are hours.

    Parameters
    ----------
    seconds : float
    hours : bool, optional
        Whether to write hours even if there are none.
    fine : bool, optional
        Whether to write hundredths of a second.

    Examples
    --------
    >>> clock(75), clock(3725), clock(75, hours=True), clock(0.25, fine=True)
    ('1:15', '1:02:05', '0:01:15', '0:00.25')
    """
    hundredths = round(seconds * 100) if fine else round(seconds) * 100
    minutes, rest = divmod(hundredths, 6000)
    text = f"{rest // 100:02}" + (f".{rest % 100:02}" if fine else "")
    if hours or minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{text}"
    return f"{minutes}:{text}"
