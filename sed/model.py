"""The frame-wise classifier: a front-end, a head, and the specifications they were trained with."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sed.architectures import ARCHITECTURES
from sed.encoders import Encoder
from sed.frontends import FRONTENDS
from sed.heads import head_named
from sed.hub import CONFIG, WEIGHTS, kind_of, locate, read_config
from sed.repository import NotFetchedError, Repository
from sed.specifications import Specifications

_UNUSED = "num_batches_tracked"  # of no use outside of training, and so not stored

# What arguments of the wrong type, name or size cause in the layers they reach.
_NO_MODEL = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class EmotionModel(nn.Module):
    """Waveform to frame-wise emotion posteriors.

    ::

        waveform ── MFCC, log-spectrum or an encoder ── head ── softmax ── posteriors

    Parameters
    ----------
    classes : sequence of str
        Emotions in the order of the output, neutral among them.
    frontend : dict
        Its ``name`` is a key of `sed.frontends.FRONTENDS`, with the arguments of that front-end,
        or an architecture of `sed.encoders.Encoder`, with its arguments.
    head : dict
        Its ``name`` is a key of `sed.heads.HEADS`; the rest are arguments of that head.
    window : float
        Seconds of speech that go through the network at once in inference.
    decoding : dict, optional
        Arguments of `sed.decoding.Decoding` that suit the model.

    Examples
    --------
    >>> model = EmotionModel(
    ...     classes=["neutral", "happy", "sad", "angry"],
    ...     frontend=dict(name="mfcc", sample_rate=16_000, hop=320, window_length=512,
    ...                   fft_size=512, normalization=10.0),
    ...     head=dict(name="timnet", channels=8, num_blocks=3), window=60.0).eval()
    >>> posteriors = model(torch.randn(1, 16_001))
    >>> posteriors.shape, bool(torch.allclose(posteriors.sum(-1), torch.ones(1, 51)))
    (torch.Size([1, 51, 4]), True)
    """

    def __init__(
        self,
        *,
        classes: list[str] | tuple[str, ...],
        frontend: dict[str, Any],
        head: dict[str, Any],
        window: float,
        decoding: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.frontend = frontend_named(**frontend)
        self.head = head_named(
            num_features=self.frontend.num_features, num_classes=len(classes), **head
        )
        stride: int = self.head.stride
        context, of_head = self.frontend.context, self.head.context
        if context is not None:
            context = None if of_head is None else -(-context // stride) + of_head
        self.specifications = Specifications(
            classes=tuple(classes),
            sample_rate=self.frontend.sample_rate,
            hop=self.frontend.hop * stride,
            context=context,
            window=window,
            edge_padding=self.frontend.edge_padding,
        )
        learned = getattr(self.head, "classes", None) or self.specifications.classes
        if learned != self.specifications.classes:
            raise ValueError(f"the task of the head has the classes {', '.join(learned)}")
        self.decoding: dict[str, Any] = decoding or {}
        self.config: dict[str, Any] = {
            "classes": list(self.specifications.classes),
            "frontend": frontend,
            "head": head,
            "window": window,
        }

    @classmethod
    def from_encoder(
        cls,
        encoder: Encoder,
        *,
        classes: list[str] | tuple[str, ...],
        head: dict[str, Any],
        window: float = 20.0,
    ) -> EmotionModel:
        """Model to train: an encoder that has learned already, under a head that has not.

        Parameters
        ----------
        encoder : Encoder
            From `sed.encoders.Encoder.from_pretrained`; it becomes a part of the model.
        classes, head, window
            As in `EmotionModel`.

        Examples
        --------
        >>> encoder = Encoder("hubert", dict(
        ...     hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        ...     conv_dim=[8] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2))
        >>> model = EmotionModel.from_encoder(
        ...     encoder, classes=["neutral", "happy"], head={"name": "linear", "bias": False})
        >>> model.frontend is encoder, model.specifications.context
        (True, None)
        """
        with torch.device("meta"):  # a place for the encoder, which takes no memory
            model = cls(classes=classes, frontend=encoder.description, head=head, window=window)
        model.frontend = encoder
        model.head = head_named(num_features=encoder.num_features, num_classes=len(classes), **head)
        return model

    def logits(self, waveform: Tensor) -> Tensor:
        """Logits of the frames that the network itself gives, for waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            An encoder without edge padding gives a frame fewer than the grid has cells.
        """
        features = self.frontend(waveform)
        weights = (w for w in chain(self.head.parameters(), self.head.buffers()))
        dtype = next((w.dtype for w in weights if w.is_floating_point()), features.dtype)
        logits: Tensor = self.head(features.to(dtype))
        return logits

    def forward(self, waveform: Tensor) -> Tensor:
        """Posteriors of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            One frame for every cell of the grid that holds a sample; where the network gives none
            for the last cells, the last one is repeated. Sums to one over the classes.
        """
        posteriors = self.logits(waveform).float().softmax(dim=-1)
        num_frames = self.specifications.grid.num_frames(waveform.shape[-1])
        frames = torch.arange(num_frames, device=posteriors.device)
        return posteriors[:, frames.clamp(max=posteriors.shape[1] - 1)]

    @property
    def content(self) -> dict[str, Any]:
        """What ``config.json`` says of the model."""
        return {
            "specifications": dataclasses.asdict(self.specifications),
            "model": self.config,
            "decoding": self.decoding,
        }

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        decoding: dict[str, Any] | None = None,
        name: str | None = None,
        card: str | None = None,
    ) -> None:
        """Write a folder that `from_pretrained` reads.

        Parameters
        ----------
        folder : str or Path
            Made if need be; ``config.json``, ``model.safetensors`` and a model card go there.
        decoding : dict, optional
            Arguments of `sed.decoding.Decoding` that suit the model; its own by default.
        name : str, optional
            What the card calls the model; the folder's name by default.
        card : str, optional
            Text of the card, see `sed.cards.model_card`, which makes it by default.
        """
        from safetensors.torch import save

        from sed.cards import write_description

        folder = Path(folder)
        content = self.content if decoding is None else {**self.content, "decoding": decoding}
        weights = {
            name: tensor.contiguous()
            for name, tensor in self.state_dict().items()
            if not name.endswith(_UNUSED)
        }
        num_parameters = sum(tensor.numel() for tensor in weights.values())
        write_description(folder, content, num_parameters=num_parameters, name=name, card=card)
        temporary = folder / f".{WEIGHTS}"
        try:
            temporary.write_bytes(save(weights))  # save_file would let the owner alone read it
            temporary.replace(folder / WEIGHTS)
        finally:
            temporary.unlink(missing_ok=True)

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, token: str | None = None, **options: Any
    ) -> str:
        """Upload the model's folder to the Hugging Face hub.

        Parameters
        ----------
        repo_id : str
            ``owner/name``; the repository is made if need be.
        private : bool, optional
            Whether a new repository is private.
        token : str, optional
            By default that of ``hf auth login``.
        **options
            Further ones of ``HfApi.upload_folder``, such as ``revision=`` or ``create_pr=``.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        ValueError
            If the hub cannot be reached or does not take it; the message says what would help.
        """
        import tempfile

        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        api, repository = HfApi(token=token), Repository(repo_id, options.get("revision"), token)
        try:
            with repository.asking():
                api.create_repo(repo_id, private=private, exist_ok=True)
            with tempfile.TemporaryDirectory() as folder:
                self.save_pretrained(folder, name=repo_id)
                with repository.asking():
                    return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **options))
        except NotFetchedError as error:
            cause, reason = error.__cause__, str(error)
            if isinstance(cause, HfHubHTTPError) and cause.response.status_code in (401, 403):
                reason = "the hub wants a token that may write there: log in with hf auth login"
            raise ValueError(f"{repo_id} cannot be uploaded: {reason}") from error

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> EmotionModel:
        """Model of the package, of a folder, or of the hub, ready for inference, in float32.

        Parameters
        ----------
        name_or_path : str or Path
            Name of an embedded model, path of a folder with ``config.json`` and
            ``model.safetensors`` or with a published checkpoint of SpeechBrain, or ``owner/name``
            of such a folder on the hub. Nothing in it is executed, and what is cached is not asked
            for again.
        revision, token, cache_dir, local_files_only
            As in ``huggingface_hub``.

        Raises
        ------
        ValueError
            If there is no such model, or config and weights do not fit.

        Examples
        --------
        >>> EmotionModel.from_pretrained("timnet-mfcc").specifications.classes
        ('neutral', 'happy', 'sad', 'angry')
        """
        place: dict[str, Any] = {
            "token": token,
            "cache_dir": cache_dir,
            "local_files_only": local_files_only,
        }
        folder = locate(name_or_path, revision=revision, **place)
        kind = kind_of(folder)
        if kind == "speechbrain":
            from sed.interop.speechbrain import read_checkpoint

            content, weights = read_checkpoint(folder, **place)
        elif kind == "sed":
            content, weights = read_config(folder), None
        else:
            raise ValueError(f"{folder} holds an exported model, without weights to load")
        try:
            with torch.device("meta") if has_encoder(content) else nullcontext():
                model = cls(**content["model"], decoding=content.get("decoding"))
            declared = model.specifications
            if "specifications" in content:
                declared = Specifications(**content["specifications"])
        except _NO_MODEL as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{folder / CONFIG} describes no model: {reason}") from None
        if declared != model.specifications:
            raise ValueError(
                f"{folder / CONFIG}: the specifications say {declared}, the model has "
                f"{model.specifications}"
            )
        model._fill(_read_weights(folder / WEIGHTS) if weights is None else weights, folder)
        return model.eval()

    def _fill(self, weights: dict[str, Tensor], folder: Path) -> None:
        """Take weights without copying them.

        Raises
        ------
        ValueError
            If a name or shape is not the model's own.
        """
        own = self.state_dict()
        for name in own:
            if name.endswith(_UNUSED):
                weights[name] = torch.zeros(own[name].shape, dtype=own[name].dtype)
        odd = sorted(
            name
            for name in own.keys() | weights.keys()
            if name not in own or name not in weights or weights[name].shape != own[name].shape
        )
        if odd:
            raise ValueError(
                f"{folder / WEIGHTS} does not fit {CONFIG}: missing, unknown or of another shape "
                f"are {', '.join(odd[:3])}" + (f" and {len(odd) - 3} others" * (len(odd) > 3))
            )
        self.load_state_dict(weights, assign=True)


def frontend_named(name: str, **options: Any) -> Any:
    """Front-end of a config.

    Parameters
    ----------
    name : str
        A key of `sed.frontends.FRONTENDS`, or of `sed.encoders.ARCHITECTURES`.
    **options
        Its arguments.

    Raises
    ------
    ValueError
        If there is no front-end of that name.
    """
    if name in FRONTENDS:
        return FRONTENDS[name](**options)
    if name in ARCHITECTURES:
        return Encoder(name, **options)
    known = ", ".join((*FRONTENDS, *ARCHITECTURES))
    raise ValueError(f"unknown front-end {name!r}; known are {known}")


def has_encoder(content: dict[str, Any]) -> bool:
    """Whether the front-end of a ``config.json`` is an encoder."""
    return content["model"]["frontend"]["name"] in ARCHITECTURES


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, in float32.

    Raises
    ------
    ValueError
        If it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            names = list(stream.keys())
        weights = {}
        for name in names:  # opened anew for each: what was read before does not stay mapped
            with safe_open(path, framework="pt") as stream:
                weights[name] = stream.get_tensor(name).to(torch.float32, copy=True)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    return weights
