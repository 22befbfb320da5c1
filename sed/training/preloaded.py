"""What is slow to load, for processes that begin with it; SpeechBrain's warnings are of no use."""

from __future__ import annotations

import logging

_before = logging.root.manager.disable
logging.disable(logging.WARNING)
try:
    from sed.training import kinds  # noqa: F401
finally:
    logging.disable(_before)
