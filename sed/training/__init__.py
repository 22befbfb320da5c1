"""Training of emotion models with SpeechBrain; needs the extra `train`."""
