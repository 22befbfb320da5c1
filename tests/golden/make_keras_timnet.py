"""Golden weights: a small TIM-Net built, run and saved with Keras 2, which is not ours.

Run it, with TensorFlow 2.21, tf_keras and h5py installed, to make ``keras_timnet.hdf5`` and
``keras_timnet.json`` anew::

    python tests/golden/make_keras_timnet.py

The network follows the authors' description of theirs, layer by layer and in their order of
creation; its file is the second of a cross-validation run, where numbers of layers go on.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WEIGHTS = Path(__file__).with_name("keras_timnet.hdf5")
OUTPUT = WEIGHTS.with_suffix(".json")
NUM_FRAMES, NUM_FEATURES, CHANNELS, NUM_BLOCKS, NUM_CLASSES = 12, 5, 4, 2, 6


def weight_layer() -> Any:
    """Dynamic fusion; the name of the class makes that of the layer."""
    import tensorflow as tf
    from tf_keras.layers import Layer

    class WeightLayer(Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(shape[1], 1), initializer="uniform")
            super().build(shape)

        def call(self, pooled: tf.Tensor) -> tf.Tensor:
            return tf.einsum("bnc,no->bc", pooled, self.kernel)

    return WeightLayer()


def gated(x: Any, dilation: int, channels: int) -> Any:
    """A temporal-aware block in one direction."""
    import tensorflow as tf
    from tf_keras import layers

    y = x
    for _ in range(2):
        y = layers.Conv1D(channels, 2, dilation_rate=dilation, padding="causal")(y)
        y = layers.BatchNormalization()(y)
        y = layers.Activation("relu")(y)
        y = layers.SpatialDropout1D(0.1)(y)
    return layers.Lambda(lambda pair: pair[0] * tf.sigmoid(pair[1]))([x, y])


def network(
    num_frames: int, num_features: int, channels: int, num_blocks: int, num_classes: int
) -> Any:
    """The authors' network, whose second branch stays reversed in time."""
    import tensorflow as tf
    from tf_keras import Model, layers

    features = layers.Input((num_frames, num_features))
    backward = tf.reverse(features, axis=[1])
    x = layers.Conv1D(channels, 1, padding="causal")(features)
    y = layers.Conv1D(channels, 1, padding="causal")(backward)
    pooled = []
    for level in range(num_blocks):
        x, y = gated(x, 2**level, channels), gated(y, 2**level, channels)
        both = layers.add([x, y], name=f"biadd_{2**level}")
        pooled.append(layers.GlobalAveragePooling1D()(both))
    fused = weight_layer()(tf.stack(pooled, axis=1))
    classes = layers.Dense(num_classes, activation="softmax")(fused)
    return Model(features, classes)


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Weights as after a training: nothing at its initial value, posteriors that differ."""
    for weight in model.weights:
        shape, name = tuple(weight.shape), weight.name
        if "variance" in name or "gamma" in name:
            value = rng.uniform(0.5, 2.0, shape)
        elif "kernel" in name:
            value = rng.standard_normal(shape) * np.sqrt(2 / (np.prod(shape[:-1])))
        else:
            value = rng.standard_normal(shape)
        weight.assign(value * (0.5 if name.startswith("dense") else 1.0))


def make() -> dict:
    """Content of the golden file; the weights are written beside it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    import tf_keras

    rng = np.random.default_rng(0)
    for _ in range(2):  # the first fold's numbers start at zero
        model = network(NUM_FRAMES, NUM_FEATURES, CHANNELS, NUM_BLOCKS, NUM_CLASSES)
    randomize(model, rng)
    features = rng.standard_normal((2, NUM_FRAMES, NUM_FEATURES)).round(4)
    model.save_weights(WEIGHTS, save_format="h5")
    return {
        "made_by": "make_keras_timnet.py",
        "made_with": {m.__name__: m.__version__ for m in (tf, tf_keras, h5py)},
        "parameters": model.count_params(),
        "features": features.tolist(),
        "softmax": model(features.astype(np.float32), training=False).numpy().tolist(),
    }


if __name__ == "__main__":
    OUTPUT.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
