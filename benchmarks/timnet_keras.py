"""Keras's side of timnet_training.py: the authors' TIM-Net, in a process of its own.

    python benchmarks/timnet_keras.py [FOLDER EPOCHS]

It needs TensorFlow and tf_keras, which is Keras 2, and nothing of `sed`: the two do not have to
share an environment. From the folder it reads ``features.npy``, of shape (recordings, frames,
features), and ``targets.npy``, a class each; it leaves weights there, in ``weights.hdf5``, and what
the network makes of the features with them, in ``posteriors.npy``. Then it trains from new weights,
an epoch for every line that it is sent, and prints the seconds that each took. Every line printed
is one of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
BATCH, LABEL_SMOOTHING = 64, 0.1
REST = 0.5
"""Seconds after which TensorFlow's threads have nothing left to do."""


def report(**found: Any) -> None:
    """Print a line of JSON at once."""
    print(json.dumps(found), flush=True)


def stopwatch() -> Any:
    """Callback that waits for a line before an epoch, and prints how long the epoch took.

    It does so when the next epoch is ready and all threads rest, since others are timed then.
    """
    from tf_keras.callbacks import Callback

    class Stopwatch(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                self.tell()
            if not sys.stdin.readline():
                sys.exit("nobody is there to be timed for")
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds = time.perf_counter() - self.start

        def on_train_end(self, logs: Any = None) -> None:
            self.tell()
            sys.stdin.read()

        def tell(self) -> None:
            time.sleep(REST)
            report(seconds=self.seconds)

    return Stopwatch()


def train(folder: Path, epochs: int) -> None:
    """Write weights and posteriors, and train with the authors' settings."""
    import numpy as np
    import tensorflow as tf
    import tf_keras

    sys.path.insert(0, str(GOLDEN))
    from make_keras_timnet import network, randomize

    features, targets = np.load(folder / "features.npy"), np.load(folder / "targets.npy")
    _, num_frames, num_features = features.shape
    num_classes = int(targets.max()) + 1

    def make() -> Any:
        return network(num_frames, num_features, 39, 8, num_classes)

    model = make()
    randomize(model, np.random.default_rng(0))
    model.save_weights(folder / "weights.hdf5", save_format="h5")
    np.save(folder / "posteriors.npy", model.predict(features, batch_size=BATCH, verbose=0))
    report(tensorflow=tf.__version__, tf_keras=tf_keras.__version__)

    model = make()
    adam = tf_keras.optimizers.Adam(learning_rate=0.001, beta_1=0.93, beta_2=0.98, epsilon=1e-8)
    model.compile(optimizer=adam, loss="categorical_crossentropy", metrics=["accuracy"])
    smooth = np.eye(num_classes)[targets] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / num_classes
    model.fit(features, smooth, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[stopwatch()])


def main() -> None:
    """Train, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("epochs", type=int, nargs="?", default=1)
    options = parser.parse_args()
    if options.folder is None:
        return  # `make benchmarks` runs every script
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        train(options.folder, options.epochs)
    except ModuleNotFoundError as error:
        report(missing=error.name)


if __name__ == "__main__":
    main()
