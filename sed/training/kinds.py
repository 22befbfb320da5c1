"""Kinds of experiments: what runs those of some settings, and what refuses them early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sed.training.checks import Checked
from sed.training.experiment import check_once, run_once
from sed.training.multicorpus import check_multicorpus, run_multicorpus
from sed.training.protocols import check_protocol, run_protocol


@dataclass(frozen=True)
class Kind:
    """What is done with settings: their text, changes of them, and options of SpeechBrain.

    Parameters
    ----------
    run : callable
        Does what is not done yet; returns the folder.
    check : callable
        Raises what `run` would raise before anything slow happens, without writing anything.
    """

    run: Callable[[str, Mapping[str, Any], Any], Path]
    check: Callable[[str, Mapping[str, Any], Any], Checked]


TRAINING = Kind(run_once, check_once)
"""A model, whose error rates are summarized where there are several seeds."""

MULTICORPUS = Kind(run_multicorpus, check_multicorpus)
PROTOCOL = Kind(run_protocol, check_protocol)


def kind_of(settings: Mapping[str, Any]) -> Kind:
    """Kind of an experiment with such settings; those of a paper's study name their task.

    Examples
    --------
    >>> kind_of({"task": "cross-corpus"}) is PROTOCOL, kind_of({"seed": 1}) is TRAINING
    (True, True)
    """
    if "task" not in settings:
        return TRAINING
    return MULTICORPUS if settings["task"] == "multi-corpus" else PROTOCOL
