"""Temporal blocks: frame features to frames that know of their surroundings.

Those of da Silva et al., section 4.3 and figures 2 to 4: an LSTM, one in both directions, and a
time-delay network. A sequence gives the same frames alone and beside a longer one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from sed.heads.padding import true_frames, without_padding

_ONNX_GATES = (0, 3, 1, 2)  # input, output, forget, cell: torch has them as 0, 1 (forget), 2, 3


class LSTM(nn.Module):
    """A layer of LSTM cells, behind one that prepares each frame.

    ::

        features ─ linear, ReLU ─ LSTM ─ dropout ─ frames
                     frame by         looking back, from
                     frame            the first frame on

    What the paper's figures leave open is as in Mirsamadi et al. (2017), whom it follows: the
    prepared frames pass a ReLU. Dropout stands where the text has it, behind the recurrent layer.

    Parameters
    ----------
    num_features : int
        Width of the input.
    num_units : int
        Width of the prepared frames; 512 in the paper.
    num_cells : int
        Cells in each direction; 128 in the paper.
    dropout : float
        Probability that a value is dropped; 0.5 in the paper.

    Attributes
    ----------
    num_outputs : int
        Width of the output.

    Examples
    --------
    >>> block = LSTM(257)
    >>> block(torch.randn(2, 63, 257)).shape
    torch.Size([2, 63, 128])
    """

    num_directions = 1

    context = None
    """Frames that matter to a frame on each side: a cell forgets nothing by itself."""

    def __init__(
        self,
        num_features: int,
        *,
        num_units: int = 512,
        num_cells: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.prepare = nn.Linear(num_features, num_units)
        self.recurrent = nn.ModuleList(
            nn.LSTM(num_units, num_cells, batch_first=True) for _ in range(self.num_directions)
        )
        self.dropout = nn.Dropout(dropout)
        self.num_outputs = num_cells * self.num_directions

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames that know what came before them.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence, at least one; all by default.

        Returns
        -------
        (batch, num_frames, num_outputs) Tensor
            Zero beyond a sequence's length.
        """
        prepared = torch.relu(self.prepare(without_padding(features, lengths)))
        if torch.compiler.is_exporting():
            frames = self._exported(prepared)
        else:
            frames = torch.cat(
                [
                    _turned(cells(_turned(prepared, lengths, turn))[0], lengths, turn)
                    for turn, cells in enumerate(self.recurrent)
                ],
                dim=-1,
            )
        dropped: Tensor = self.dropout(without_padding(frames, lengths))
        return dropped

    def _exported(self, prepared: Tensor) -> Tensor:
        """What the recurrent layer gives, as ONNX's own operator.

        Torch's exporter would fix the number of frames.
        """

        def stacked(kind: str) -> Tensor:
            weights = [getattr(cells, f"{kind}_l0") for cells in self.recurrent]
            return torch.stack([_gates_as_in_onnx(weight) for weight in weights])

        biases = torch.cat((stacked("bias_ih"), stacked("bias_hh")), dim=1)
        batch, num_frames, _ = prepared.shape
        num_cells = self.num_outputs // self.num_directions
        frames: Tensor = torch.onnx.ops.symbolic(
            "LSTM",
            (prepared.transpose(0, 1), stacked("weight_ih"), stacked("weight_hh"), biases),
            {
                "hidden_size": num_cells,
                "direction": "bidirectional" if self.num_directions == 2 else "forward",
            },
            dtype=prepared.dtype,
            shape=(num_frames, self.num_directions, batch, num_cells),
        )
        return frames.permute(2, 0, 1, 3).flatten(2)


class BLSTM(LSTM):
    """An `LSTM` in both directions: each frame knows of all others.

    Examples
    --------
    >>> block = BLSTM(257)
    >>> block(torch.randn(2, 63, 257)).shape
    torch.Size([2, 63, 256])
    """

    num_directions = 2


class TDNN(nn.Module):
    """Time-delay neural network: layers that see a frame and its two neighbours.

    ::

        features   . . [. . .] . .      frames {-1, 0, 1}, then ReLU
        layer 1    . . . [.] . . .
        …
        layer 6    . . . [.] . . .      six frames on each side matter
        dropout

    Past the ends of a sequence stand zeros. The paper does not say where its dropout is in this
    block; it is where that of the recurrent ones is, behind the last layer.

    Parameters
    ----------
    num_features : int
        Width of the input.
    num_units : int
        Width of every layer; 512 in the paper.
    num_layers : int
        Six in the paper.
    dropout : float
        Probability that a value is dropped; 0.5 in the paper.

    Attributes
    ----------
    context : int
        Frames that matter to a frame on each side.
    num_outputs : int
        Width of the output.

    Examples
    --------
    >>> block = TDNN(257)
    >>> block(torch.randn(2, 63, 257)).shape, block.context
    (torch.Size([2, 63, 512]), 6)
    """

    def __init__(
        self,
        num_features: int,
        *,
        num_units: int = 512,
        num_layers: int = 6,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = [num_features] + [num_units] * num_layers
        self.layers = nn.ModuleList(
            nn.Conv1d(below, above, kernel_size=3, padding=1) for below, above in pairwise(widths)
        )
        self.dropout = nn.Dropout(dropout)
        self.context, self.num_outputs = len(self.layers), widths[-1]

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames that know of their neighbours.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence, all by default.

        Returns
        -------
        (batch, num_frames, num_outputs) Tensor
            Zero beyond a sequence's length.
        """
        frames = without_padding(features, lengths).transpose(1, 2)
        if torch.compiler.is_exporting():
            torch._check(frames.shape[2] > 0)  # or a convolution might have no output
        for layer in self.layers:
            frames = torch.relu(layer(frames))
            if lengths is not None:  # the bias, and what reached past the end
                frames = frames * true_frames(frames.shape[2], lengths)[:, None].to(frames.dtype)
        dropped: Tensor = self.dropout(frames.transpose(1, 2))
        return dropped


def _gates_as_in_onnx(weight: Tensor) -> Tensor:
    """Rows of a weight or bias of torch's LSTM, its gates in the order of ONNX."""
    gates = weight.unflatten(0, (4, -1))
    return torch.cat([gates[gate] for gate in _ONNX_GATES])


def _turned(frames: Tensor, lengths: Tensor | None, turn: int) -> Tensor:
    """Sequences from their last frame to their first if `turn`; the padding stays where it is.

    Packed sequences would do this too, but their cells run at half the speed.
    """
    if not turn:
        return frames
    if lengths is None:
        return frames.flip(1)
    batch, num_frames, num_features = frames.shape
    places = torch.arange(num_frames, device=frames.device)
    turned = torch.where(true_frames(num_frames, lengths), lengths[:, None] - 1 - places, places)
    rows = turned + num_frames * torch.arange(batch, device=frames.device)[:, None]
    chosen = frames.reshape(-1, num_features).index_select(0, rows.flatten())
    return chosen.view(batch, num_frames, num_features)
