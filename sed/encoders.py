"""WavLM, HuBERT and wav2vec 2.0 as front-ends: waveform to frame features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sed.architectures import ARCHITECTURES, check_architecture, encoder_config
from sed.attention import Attention, RelativeAttention
from sed.convolutions import Convolutions
from sed.repository import fetch_files

Layer = int | Literal["last", "weighted"]
WaveformNorm = Literal["none", "mean", "standard"]


class Encoder(nn.Module):
    """Self-supervised speech encoder of transformers.

    ::

        waveform ── norm ── convolutions ── projection ── layer 1 ── … ── layer n ── features
                                         hidden states 0          1              n

    Every feature depends on the whole input. Outputs are those of transformers' own forward; the
    convolutions and WavLM's attention are computed in another way, see `sed.convolutions` and
    `sed.attention`.

    Parameters
    ----------
    architecture : {"hubert", "wav2vec2", "wavlm"}
        ``model_type`` of transformers.
    config : dict
        What differs from the defaults of the architecture's config in transformers.
    waveform_norm : {"none", "mean", "standard"}
        Whether each recording (or window of it) is brought to zero mean, and to unit variance, as
        the large models were pre-trained.
    layer : int, {"last", "weighted"}
        Which hidden states are the features: those of a layer (0 is the input of the first, and
        layers behind it are not computed), of the last one behind its norm, or a weighted sum of
        all, whose weights are learned.
    output_norm : bool
        Whether the features of a recording are brought to zero mean and unit variance, over frames
        and channels together.
    edge_padding : int
        Zeros on both sides of the input. With 40, frame ``t`` of a model with a hop of 320 samples
        is centred on cell ``t`` of the grid and there is one for every whole cell; published
        weights were trained without, and a recording's last 20 ms then have no frame.
    trainable : {"all", "transformer", "none"}
        What learns: everything, all but the convolutions, or nothing.
    spec_augment : bool
        Whether frames are masked in training, as often as the config says (SpecAugment).
    gradient_checkpointing : bool
        Compute layers anew in the backward pass instead of keeping what is in between.

    Attributes
    ----------
    description : dict
        Name and arguments that make an encoder that computes the same; how it is trained is left
        out.

    Examples
    --------
    >>> encoder = Encoder("wavlm", dict(
    ...     hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    ...     conv_dim=[8] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2)).eval()
    >>> encoder(torch.randn(1, 16_000)).shape, encoder.hop, encoder.receptive_field
    (torch.Size([1, 49, 16]), 320, 400)
    """

    context = None
    """Frames on each side that a frame depends on: all there are."""

    sample_rate = 16_000

    def __init__(
        self,
        architecture: str,
        config: dict[str, Any] | None = None,
        *,
        waveform_norm: WaveformNorm = "standard",
        layer: Layer = "last",
        output_norm: bool = False,
        edge_padding: int = 0,
        trainable: Literal["all", "transformer", "none"] = "all",
        spec_augment: bool = False,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.model = _network(architecture, {**(config or {}), "apply_spec_augment": spec_augment})
        self.description: dict[str, Any] = {
            "name": architecture,
            "config": config or {},
            "waveform_norm": waveform_norm,
            "layer": layer,
            "output_norm": output_norm,
            "edge_padding": edge_padding,
        }
        self.waveform_norm, self.layer, self.output_norm = waveform_norm, layer, output_norm
        self.edge_padding, self.trainable = edge_padding, trainable
        num_layers = len(self.model.encoder.layers)
        if not (layer in ("last", "weighted") or (type(layer) is int and 0 <= layer <= num_layers)):
            raise ValueError(f"layer is last, weighted or 0 to {num_layers}, not {layer!r}")
        if waveform_norm not in ("none", "mean", "standard"):
            raise ValueError(f"waveform_norm is none, mean or standard, not {waveform_norm!r}")
        if trainable not in ("all", "transformer", "none"):
            raise ValueError(f"trainable is all, transformer or none, not {trainable!r}")
        if edge_padding < 0:
            raise ValueError(f"edge_padding counts samples, {edge_padding} is negative")
        if layer == "weighted":
            self.layer_weights = nn.Parameter(torch.zeros(num_layers + 1))
        self.gradient_checkpointing = gradient_checkpointing
        self._freeze()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        config: dict[str, Any] | None = None,
        **options: Any,
    ) -> Encoder:
        """Encoder with published weights, such as those of ``microsoft/wavlm-large``.

        Parameters
        ----------
        name_or_path : str or Path
            A model of transformers on the hub, or its folder.
        revision, token, cache_dir, local_files_only
            As in ``huggingface_hub``.
        config : dict, optional
            Changes to the published config, such as ``{"layerdrop": 0.0}``.
        **options
            Arguments of `Encoder`. Without `waveform_norm`, what the published feature extractor
            says counts.

        Raises
        ------
        ValueError
            If it is a model of another type, its weights do not fit, or it is neither a folder, nor
            cached, nor to be had from the hub.
        """
        import transformers
        from transformers import AutoConfig, AutoFeatureExtractor

        place: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
        folder = _published(name_or_path, local_files_only=local_files_only, **place)
        try:
            published = AutoConfig.from_pretrained(folder, local_files_only=True)
            check_architecture(published.model_type)
            if "waveform_norm" not in options:
                extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
                options["waveform_norm"] = "standard" if extractor.do_normalize else "none"
            changed = encoder_config(published.model_type, published.to_dict()) | (config or {})
            with torch.device("meta"):  # weights come below
                encoder = cls(published.model_type, changed, **options)
            network = getattr(transformers, ARCHITECTURES[published.model_type][1])
            source = network.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{folder} holds no encoder that is read here: {reason}") from None
        encoder.model.load_state_dict(source.state_dict(), assign=True)
        if encoder.layer == "weighted":
            encoder.layer_weights = nn.Parameter(torch.zeros(len(encoder.layer_weights)))
        encoder._freeze()
        return encoder

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return self._convolutions.hop

    @property
    def receptive_field(self) -> int:
        """Samples under a frame before the transformer."""
        return self._convolutions.receptive_field

    @property
    def num_features(self) -> int:
        """Width of the output."""
        width: int = self.model.config.hidden_size
        return width

    def num_frames(self, num_samples: int) -> int:
        """Frames of an input; at least one, for what is too short is filled up with zeros."""
        return max(1, self._convolutions.num_frames(num_samples + 2 * self.edge_padding))

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of waveforms.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor
        lengths : (batch,) Tensor of int, optional
            True samples of each waveform, all by default. What lies beyond is not looked at: a
            recording has the same features alone and beside a longer one.

        Returns
        -------
        (batch, num_frames, num_features) Tensor
            Zero beyond a waveform's own frames, which `num_frames` counts.
        """
        if lengths is None or bool((lengths == waveform.shape[1]).all()):
            hidden, inside = self._convolved(waveform), None
        else:
            alone = [
                self._convolved(row[None, :length])[0]
                for row, length in zip(waveform, lengths.tolist(), strict=True)
            ]
            hidden = nn.utils.rnn.pad_sequence(alone, batch_first=True)
            counts = torch.tensor([len(frames) for frames in alone], device=hidden.device)
            inside = torch.arange(hidden.shape[1], device=hidden.device) < counts[:, None]
        features = self._transformed(hidden, inside)
        if self.output_norm:
            features = _standardized(features, inside)
        return features if inside is None else features * inside[..., None]

    @property
    def _convolutions(self) -> Convolutions:
        convolutions = self.model.feature_extractor
        assert isinstance(convolutions, Convolutions)
        return convolutions

    def _convolved(self, waveform: Tensor) -> Tensor:
        """Projected frames of waveforms of equal length."""
        if self.waveform_norm != "none":
            waveform = waveform - waveform.mean(dim=-1, keepdim=True)
        if self.waveform_norm == "standard":
            power = waveform.square().mean(dim=-1, keepdim=True)
            waveform = waveform * torch.rsqrt(power + 1e-5)
        missing = max(0, self.receptive_field - waveform.shape[-1] - 2 * self.edge_padding)
        waveform = F.pad(waveform, (self.edge_padding, self.edge_padding + missing))
        rows = self._convolutions(waveform.to(self.model.encoder.layer_norm.weight.dtype))
        projected = self.model.feature_projection(rows)
        hidden: Tensor = projected[0] if isinstance(projected, tuple) else projected
        return hidden

    def _transformed(self, hidden: Tensor, inside: Tensor | None) -> Tensor:
        """Features of projected frames; `inside` marks the true ones."""
        hidden = self.model._mask_hidden_states(hidden, attention_mask=inside)  # SpecAugment
        states = self._hidden_states(hidden, inside)
        if self.layer == "weighted":
            weights = self.layer_weights.softmax(dim=0).to(hidden.dtype)
            return sum((w * state for w, state in zip(weights, states, strict=True)), hidden * 0)
        number = len(self.model.encoder.layers) if self.layer == "last" else self.layer
        return next(state for index, state in enumerate(states) if index == number)

    def _hidden_states(self, hidden: Tensor, inside: Tensor | None) -> Iterator[Tensor]:
        """Hidden states 0 to n, one after the other; the last is behind the encoder's norm."""
        encoder, config = self.model.encoder, self.model.config
        mask = None
        if inside is not None:
            hidden = hidden * inside[..., None]
            mask = torch.zeros_like(inside, dtype=hidden.dtype)[:, None, None]
            mask = mask.masked_fill(~inside[:, None, None], torch.finfo(hidden.dtype).min)
        hidden = hidden + encoder.pos_conv_embed(hidden)
        if not config.do_stable_layer_norm:
            hidden = encoder.layer_norm(hidden)
        hidden = encoder.dropout(hidden)
        yield hidden
        options: dict[str, Any] = {"attention_mask": mask}
        for index, layer in enumerate(encoder.layers, start=1):
            # The first layer makes WavLM's position bias, so it is never left out.
            dropped = self.training and index > 1 and bool(torch.rand(()) < config.layerdrop)
            if not dropped:
                if self.gradient_checkpointing and self.training:
                    hidden = checkpoint(layer, hidden, use_reentrant=False, **options)
                else:
                    hidden = layer(hidden, **options)
                if isinstance(hidden, tuple):  # WavLM hands its position bias on
                    hidden, options["position_bias"] = hidden
            if index == len(encoder.layers) and config.do_stable_layer_norm:
                hidden = encoder.layer_norm(hidden)
            yield hidden

    def _freeze(self) -> None:
        """Take from training what is not to learn."""
        if self.trainable == "none":
            self.model.requires_grad_(False)
        elif self.trainable == "transformer":
            self.model.feature_extractor.requires_grad_(False)


def _published(name_or_path: str | Path, *, local_files_only: bool, **place: Any) -> Path:
    """Folder with the config and the weights of an encoder; the hub is asked last.

    Raises
    ------
    ValueError
        If there is none.
    """
    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    errors = []
    for offline in (True,) if local_files_only else (True, False):
        for weights in ("model.safetensors", "pytorch_model.bin"):
            files = ("config.json", "preprocessor_config.json", weights)
            try:
                return fetch_files(str(name_or_path), files, local_files_only=offline, **place)
            except ValueError as error:
                errors.append(error)
    raise errors[-2]  # of the better file, where it was looked for last


def _network(architecture: str, config: dict[str, Any]) -> Any:
    """Model of transformers with random weights, its slow parts replaced."""
    import transformers
    from huggingface_hub.errors import StrictDataclassError

    check_architecture(architecture)
    config_class, model_class = (
        getattr(transformers, name) for name in ARCHITECTURES[architecture]
    )
    try:
        settings = config_class(**config)
    except StrictDataclassError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"no config of {architecture}: {reason}") from None
    if getattr(settings, "add_adapter", False):
        raise ValueError("encoders with an adapter have a frame grid of their own; none is read")
    network = model_class(settings)
    if not settings.apply_spec_augment and hasattr(network, "masked_spec_embed"):
        network.masked_spec_embed.requires_grad_(False)  # it would never get a gradient
    network.feature_extractor = Convolutions(network.feature_extractor.conv_layers)
    attention = RelativeAttention if architecture == "wavlm" else Attention
    for layer in network.encoder.layers:
        layer.attention = attention(layer.attention)
    return network


def _standardized(features: Tensor, inside: Tensor | None) -> Tensor:
    """Zero mean and unit variance over the true frames and all channels of a recording."""
    if inside is None:
        return F.layer_norm(features, features.shape[1:])
    true = inside[..., None]
    count = true.sum(dim=(1, 2), keepdim=True) * features.shape[-1]
    centred = (features - (features * true).sum(dim=(1, 2), keepdim=True) / count) * true
    variance = centred.square().sum(dim=(1, 2), keepdim=True) / count
    return centred * torch.rsqrt(variance + 1e-5)
