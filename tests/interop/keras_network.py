"""A Keras TIM-Net in numpy: its weights, its file and its formulas, none of them ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

EPSILON = 1e-3


@dataclass
class KerasTIMNet:
    """Layers in the order in which Keras makes them; each maps a weight's name to its values."""

    convolutions: list[dict[str, np.ndarray]]
    norms: list[dict[str, np.ndarray]]
    fusion: dict[str, np.ndarray]
    dense: dict[str, np.ndarray]

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        num_blocks: int,
        num_classes: int,
        *,
        num_features: int = 5,
        channels: int = 4,
    ) -> KerasTIMNet:
        """Weights as after a training; variances are small enough for epsilon to count."""

        def normal(*shape: int) -> np.ndarray:
            values = rng.standard_normal(shape)
            return (values / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

        def vector(low: float, high: float) -> np.ndarray:
            return rng.uniform(low, high, channels).astype(np.float32)

        inputs = [(1, num_features)] * 2 + [(2, channels)] * (4 * num_blocks)
        return cls(
            [{"kernel": normal(*shape, channels), "bias": vector(-1, 1)} for shape in inputs],
            [
                {
                    "gamma": vector(0.5, 1.5) * rng.choice([-1, 1], channels).astype(np.float32),
                    "beta": vector(-1, 1),
                    "moving_mean": vector(-1, 1),
                    "moving_variance": vector(0.005, 1),
                }
                for _ in range(4 * num_blocks)
            ],
            {"kernel": normal(num_blocks, 1) * 3},
            {"kernel": normal(channels, num_classes) * 3, "bias": normal(num_classes)},
        )

    def arrays(self, conv: int = 0, norm: int = 0, last: int = 0) -> dict[str, np.ndarray]:
        """What a file holds, where the first layers of each kind have these numbers."""
        layers = [
            *((f"conv1d_{conv + k}", layer) for k, layer in enumerate(self.convolutions)),
            *((f"batch_normalization_{norm + k}", layer) for k, layer in enumerate(self.norms)),
            (f"weight_layer_{last}", self.fusion),
            (f"dense_{last}", self.dense),
        ]
        named = [(layer.removesuffix("_0"), weights) for layer, weights in layers]
        return {
            f"{layer}/{layer}/{name}:0": values
            for layer, weights in named
            for name, values in weights.items()
        }

    def blocks(self, features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Outputs of each block on (num_frames, num_features), the second in reversed time."""
        halves = list(zip(self.convolutions[2:], self.norms, strict=True))
        forward = convolution(features, 1, **self.convolutions[0])
        backward = convolution(features[::-1], 1, **self.convolutions[1])
        for block in range(len(self.norms) // 4):
            ours = halves[4 * block : 4 * block + 4]
            forward = gated(forward, 2**block, ours[:2])
            backward = gated(backward, 2**block, ours[2:])
            yield forward, backward

    def softmax(self, features: np.ndarray) -> np.ndarray:
        """(num_classes,) of a whole utterance: pooling block by block, then fusion."""
        pooled = [(back + ahead).mean(axis=0) for back, ahead in self.blocks(features)]
        fused = (np.stack(pooled).T @ self.fusion["kernel"].astype(float))[:, 0]
        logits = fused @ self.dense["kernel"].astype(float) + self.dense["bias"]
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()

    def frame_logits(self, features: np.ndarray) -> np.ndarray:
        """(num_frames, num_classes), the second branch turned back in time."""
        fused = sum(
            weight * (back + ahead[::-1])
            for weight, (back, ahead) in zip(
                self.fusion["kernel"][:, 0].astype(float), self.blocks(features), strict=True
            )
        )
        return fused @ self.dense["kernel"].astype(float) + self.dense["bias"]


def convolution(x: np.ndarray, dilation: int, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Causal convolution: ``y[t] = bias + sum_k x[t - (taps - 1 - k) * dilation] @ kernel[k]``."""
    y = np.zeros((len(x), kernel.shape[2])) + bias
    for time in range(len(x)):
        for tap, matrix in enumerate(kernel):
            source = time - (len(kernel) - 1 - tap) * dilation
            if source >= 0:
                y[time] += x[source] @ matrix.astype(float)
    return y


def gated(x: np.ndarray, dilation: int, halves: list) -> np.ndarray:
    """A temporal-aware block: ``x * sigmoid(y)``."""
    y = x
    for weights, norm in halves:
        y = convolution(y, dilation, **weights)
        deviation = np.sqrt(norm["moving_variance"].astype(float) + EPSILON)
        y = norm["gamma"] * (y - norm["moving_mean"]) / deviation + norm["beta"]
        y = np.maximum(y, 0.0)
    return x / (1 + np.exp(-y))


def save(path: Path, arrays: dict[str, np.ndarray], *, attributes: bool = False) -> Path:
    """Write a file; with attributes, also what Keras adds for layers with and without weights."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
        if attributes:
            for layer in ("input_1", "tf.reverse", "activation", "biadd_1"):
                file.create_group(layer).attrs["weight_names"] = []
            file.create_group("top_level_model_weights").attrs["weight_names"] = []
            file.attrs["layer_names"] = np.array(sorted(file), dtype="S")
            file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.7.0"
    return path
