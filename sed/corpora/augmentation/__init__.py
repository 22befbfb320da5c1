"""Changes to a recording that do not change its emotions: voices, rooms, noise, telephones, MP3."""

from sed.corpora.augmentation.chain import Augmentation
from sed.corpora.augmentation.mp3 import SAMPLE_RATES as MP3_SAMPLE_RATES
from sed.corpora.augmentation.rooms import in_room
from sed.corpora.augmentation.sounds import MAX_SOUND, Sounds

__all__ = ["MAX_SOUND", "MP3_SAMPLE_RATES", "Augmentation", "Sounds", "in_room"]
