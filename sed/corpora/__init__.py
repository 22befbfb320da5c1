"""Corpora of emotional speech, and recordings simulated from them."""

from sed.corpora.descriptor import Corpus
from sed.corpora.utterance import Utterance

__all__ = ["Corpus", "Utterance"]
