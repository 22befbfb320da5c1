"""Tools that are not ours, loaded without what they drag along."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

with warnings.catch_warnings():  # what it imports warns about itself, not about us
    warnings.simplefilter("ignore")
    from pyannote.metrics.identification import IdentificationErrorRate

__all__ = ["IdentificationErrorRate", "speechbrain_eder_module"]


def speechbrain_eder_module() -> ModuleType:
    """SpeechBrain's own ``speechbrain/utils/EDER.py``.

    The file needs nothing; its package needs torch, and puts modules that warn when they are
    looked at into the process, which hypothesis does.
    """
    package = importlib.util.find_spec("speechbrain")
    file = Path(package.submodule_search_locations[0], "utils", "EDER.py")
    spec = importlib.util.spec_from_file_location("speechbrain_eder_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
