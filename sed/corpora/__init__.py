"""Corpora of emotional speech, and recordings simulated from them."""

from sed.corpora.descriptor import Corpus
from sed.corpora.utterance import Turn, Utterance, relabelled

__all__ = ["Corpus", "Turn", "Utterance", "relabelled"]
