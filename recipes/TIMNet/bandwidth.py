"""What a lower sample rate costs: a support vector machine on cepstra of low-passed recordings.

    python bandwidth.py --data_folder=FOLDER [--corpora emodb emovo ravdess] [--seeds 3]

The machine sees statistics over time of the cepstra that TIM-Net learns from, and is tested on the
folds of protocol `*`. It takes minutes where TIM-Net takes hours, and says what the features hold,
not what the network makes of them.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.signal import firwin, oaconvolve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from sed.audio import Recording
from sed.corpora import Corpus
from sed.scoring import uar
from sed.training.folds import folds
from sed.training.utterances import front_end

HIGHEST = (8000, 6500, 5500, 4000)
"""Hz; the first is what recordings of 16 kHz hold, and is not filtered."""

NUM_TAPS = 401
WINDOW = ("kaiser", 10.0)  # 100 dB down: cepstra reach 80 dB below the loudest band


def statistics(samples: np.ndarray, highest: int) -> np.ndarray:
    """Mean, deviation and deciles over time of a recording's cepstra, and of their changes.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
        At 22.05 kHz.
    highest : int
        Hz; what lies above is filtered away.

    Returns
    -------
    (235,) np.ndarray
        Six statistics of 39 cepstra, and the number of frames.
    """
    mfcc = front_end("code")
    if highest < HIGHEST[0]:
        taps = firwin(NUM_TAPS, highest, window=WINDOW, fs=mfcc.sample_rate)
        samples = oaconvolve(samples, taps, mode="same").astype(np.float32)
    with torch.inference_mode():
        rows = mfcc(torch.from_numpy(samples)[None])[0].numpy()
    deciles = np.quantile(rows, (0.1, 0.5, 0.9), axis=0)
    changes = np.diff(rows, axis=0).std(axis=0)
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0), *deciles, changes, [len(rows)]])


def mean_uar(
    features: np.ndarray, emotions: np.ndarray, speakers: list[str], num_seeds: int
) -> float:
    """Over the ten folds of each seed."""
    found = []
    for seed in range(1, num_seeds + 1):
        for fold in folds(speakers, by="utterance", seed=seed, num_folds=10):
            machine = make_pipeline(StandardScaler(), SVC(C=10.0))
            machine.fit(features[fold.train], emotions[fold.train])
            said = machine.predict(features[fold.test]).tolist()
            found.append(uar(emotions[fold.test].tolist(), said))
    return float(np.mean(found))


def main() -> None:
    """Print one row per corpus, one column per bandwidth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True, metavar="FOLDER")
    parser.add_argument("--corpora", nargs="+", default=["emodb", "emovo", "ravdess"])
    parser.add_argument("--seeds", type=int, default=3, help="cross-validations of each")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it takes one at least")
    table = Table("corpus", "recordings", *(f"to {highest} Hz" for highest in HIGHEST))
    try:
        for name in options.corpora:
            corpus = Corpus.named(name)
            utterances = list(corpus.utterances(corpus.find(options.data_folder), complete=False))
            emotions = np.array([utterance.emotion for utterance in utterances])
            rows = []
            for utterance in tqdm(utterances, desc=name, mininterval=1, leave=False):
                samples = Recording.open(utterance.path).samples(front_end("code").sample_rate)
                rows.append([statistics(samples, highest) for highest in HIGHEST])
            speakers = [utterance.speaker for utterance in utterances]
            rates = [
                mean_uar(features, emotions, speakers, options.seeds)
                for features in np.array(rows).swapaxes(0, 1)
            ]
            table.add_row(name, str(len(utterances)), *(f"{100 * rate:.2f} %" for rate in rates))
    except (OSError, ValueError) as error:
        sys.exit(f"bandwidth.py: {error}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
