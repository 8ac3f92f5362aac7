"""Networks that read a chart: LSTM, GRU, GRU-D, RETAIN's attention and a Transformer, behind one interface.

All take `values` (n, T, F) in the columns' units, `mask` (1 where measured), `hours_since` the last measurement, and `statics` (n, S),
NaN where unknown; they give logits by head (n, outputs). Inside, a value that is missing is the last one carried forward, 0 (the training
mean) before the first. Normalisation is LayerNorm: a patient's answer does not depend on who else is in the batch. Widths of 32 to 64
suffice: 20-70 kB of weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from medsim_perception.ehr.recurrent import GRU, LSTM
from medsim_perception.ehr.standardise import Standardiser, carried_forward

__all__ = ["CORES", "GRUD", "Attention", "ChartNet", "Recurrent", "Transformer", "make_net"]

AGE_SCALE_H = 24.0  # chosen: ages count as log(1 + hours / 24 * 10), so that one hour and one day are far apart, two and three days are not


class ChartNet(nn.Module):
    """Base: standardises, carries forward, encodes by `core`, and answers by linear heads.

    Args:
        columns, statics: their names; width: of the state; heads: name -> outputs.
        dropout: of the state, in training; column_dropout: share of columns hidden from a patient in training.
    """

    per_cell = 3  # inputs for each column: value, mask, age

    def __init__(
        self, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *,
        width: int = 48, dropout: float = 0.0, column_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.columns, self.statics, self.width = tuple(columns), tuple(statics), width
        self.column_dropout = column_dropout
        self.of_values, self.of_statics = Standardiser(columns), Standardiser(statics)
        self.static_input = nn.Linear(2 * len(self.statics), width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(width, outputs) for name, outputs in heads.items()})

    def fit_scales(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> None:
        """Take centres and spreads from training stays."""
        self.of_values.fit(values, mask)
        self.of_statics.fit(torch.nan_to_num(statics)[:, None], ~torch.isnan(statics)[:, None])

    def forward(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> dict[str, Tensor]:
        """Logits or estimates by head, (n, outputs) each."""
        return self.answers(self.encode(values, mask, hours_since, statics))

    def answers(self, state: Tensor) -> dict[str, Tensor]:
        """What the heads make of a state."""
        state = self.dropout(state)
        return {name: head(state) for name, head in self.heads.items()}

    def encode(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The patient's state at the last hour, (n, width)."""
        self._check(values, mask, hours_since, statics)
        mask, hours_since = self._hidden(mask.to(values.dtype), hours_since)
        scaled = self.of_values(values) * mask
        return torch.as_tensor(self.norm(self.core(scaled, mask, hours_since, self._statics(statics))))

    def core(self, scaled: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The state before normalisation, (n, width); `scaled` is 0 where not measured, `statics` has `width` numbers."""
        raise NotImplementedError

    def _cells(self, scaled: Tensor, mask: Tensor, hours_since: Tensor) -> Tensor:
        return torch.cat([carried_forward(scaled, mask), mask, self.ages(hours_since)], dim=-1)

    @staticmethod
    def ages(hours_since: Tensor) -> Tensor:
        """Hours since a measurement as a network takes them: 0 now, 1 after a day."""
        return torch.log1p(hours_since * (10.0 / AGE_SCALE_H)) / math.log1p(10.0)

    def _statics(self, statics: Tensor) -> Tensor:
        known = ~torch.isnan(statics)
        scaled = self.of_statics(torch.nan_to_num(statics)) * known
        return torch.as_tensor(self.static_input(torch.cat([scaled, known.to(scaled.dtype)], dim=-1)))

    def _hidden(self, mask: Tensor, hours_since: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training or self.column_dropout == 0.0:
            return mask, hours_since
        kept = torch.rand(len(mask), 1, mask.shape[-1], device=mask.device) >= self.column_dropout
        return mask * kept, torch.where(kept, hours_since, hours_since.new_tensor(100.0))

    def _check(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> None:
        if values.ndim != 3 or values.shape[-1] != len(self.columns) or mask.shape != values.shape or hours_since.shape != values.shape:
            shapes = ", ".join(str(tuple(x.shape)) for x in (values, mask, hours_since))
            raise ValueError(f"values, mask and hours_since must all have the shape (n, T, {len(self.columns)}), not {shapes}")
        if statics.shape != (len(values), len(self.statics)):
            raise ValueError(f"statics must have the shape ({len(values)}, {len(self.statics)}), not {tuple(statics.shape)}")


class Recurrent(ChartNet):
    """LSTM or GRU over hours; statics give the state that it begins in."""

    def __init__(
        self, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *, cell: str = "lstm",
        width: int = 48, dropout: float = 0.0, column_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(columns, statics, heads, width=width, dropout=dropout, column_dropout=column_dropout)
        if cell not in ("lstm", "gru"):
            raise ValueError(f"cell must be 'lstm' or 'gru', not {cell!r}")
        self.cell = cell
        self.embed = nn.Linear(self.per_cell * len(self.columns), width)
        self.rnn = (LSTM if cell == "lstm" else GRU)(width, width, batch_first=True)

    def core(self, scaled: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The state after the last hour."""
        inputs = self.embed(self._cells(scaled, mask, hours_since))
        first = statics[None].contiguous()
        start = (first, torch.zeros_like(first)) if self.cell == "lstm" else first
        out, _ = self.rnn(inputs, start)
        return torch.as_tensor(out[:, -1])


class GRUD(ChartNet):
    """GRU-D: what was not measured decays to the mean, and so does memory, at learnt rates (Che et al., Sci Rep 2018;8:6085)."""

    def __init__(
        self, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *,
        width: int = 48, dropout: float = 0.0, column_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(columns, statics, heads, width=width, dropout=dropout, column_dropout=column_dropout)
        self.value_decay = nn.Parameter(torch.full((len(self.columns),), 0.05))  # 1/h; chosen start: half is left after 14 h
        self.value_decay_offset = nn.Parameter(torch.zeros(len(self.columns)))
        self.state_decay = nn.Linear(len(self.columns), width)
        self.gru = nn.GRUCell(2 * len(self.columns), width)

    def core(self, scaled: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The state after the last hour."""
        # Hours since at a row count from the row itself; GRU-D's interval counts from the measurement before it.
        before = torch.cat([torch.zeros_like(hours_since[:, :1]), hours_since[:, :-1] + 1.0], dim=1).clamp(max=48.0)
        remains = torch.exp(-(self.value_decay * before + self.value_decay_offset).clamp(min=0.0))
        inputs = mask * scaled + (1.0 - mask) * remains * carried_forward(scaled, mask)
        fades = torch.exp(-self.state_decay(before / AGE_SCALE_H).clamp(min=0.0))
        state: Tensor = statics
        for hour in range(inputs.shape[1]):
            state = self.gru(torch.cat([inputs[:, hour], mask[:, hour]], dim=-1), fades[:, hour] * state)
        return torch.as_tensor(state)


class Attention(ChartNet):
    """RETAIN: two recurrent nets that run backwards in time say how much each hour and each feature counts (Choi et al., NeurIPS 2016).

    The state is a weighted sum of linear embeddings of the hours, so that `attention` and `contributions` are exact, not approximations.
    """

    def __init__(
        self, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *,
        width: int = 48, dropout: float = 0.0, column_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(columns, statics, heads, width=width, dropout=dropout, column_dropout=column_dropout)
        self.embed = nn.Linear(self.per_cell * len(self.columns), width, bias=False)
        self.of_hours, self.of_features = GRU(width, width // 2, batch_first=True), GRU(width, width // 2, batch_first=True)
        self.hour_score, self.feature_gate = nn.Linear(width // 2, 1), nn.Linear(width // 2, width)

    def weights(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """How much each hour counts, (n, T), summing to 1, and each feature in each hour, (n, T, width)."""
        backwards = embedded.flip(1)
        hours = torch.softmax(self.hour_score(self.of_hours(backwards)[0].flip(1))[..., 0], dim=1)
        return hours, torch.tanh(self.feature_gate(self.of_features(backwards)[0].flip(1)))

    def core(self, scaled: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The weighted sum over hours, and the statics."""
        embedded = self.embed(self._cells(scaled, mask, hours_since))
        hours, features = self.weights(embedded)
        return torch.as_tensor((hours[..., None] * features * embedded).sum(1) + statics)

    def attention(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """How much each hour counts for the answer, (n, T), summing to 1."""
        self._check(values, mask, hours_since, statics)
        mask = mask.to(values.dtype)
        return self.weights(self.embed(self._cells(self.of_values(values) * mask, mask, hours_since)))[0]

    def contributions(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """What each column in each hour adds to the state before LayerNorm, (n, T, F, width); with the statics they sum to it."""
        self._check(values, mask, hours_since, statics)
        mask = mask.to(values.dtype)
        cells = self._cells(self.of_values(values) * mask, mask, hours_since)
        hours, features = self.weights(self.embed(cells))
        columns = len(self.columns)
        parts = [cells[..., i * columns : (i + 1) * columns, None] * self.embed.weight.T[i * columns : (i + 1) * columns] for i in range(3)]
        return (hours[..., None] * features)[:, :, None] * (parts[0] + parts[1] + parts[2])


class Transformer(ChartNet):
    """Self-attention over hours with sines and cosines of the hours before now; the last hour's token is the state."""

    def __init__(
        self, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *, layers: int = 2,
        width: int = 48, dropout: float = 0.0, column_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(columns, statics, heads, width=width, dropout=dropout, column_dropout=column_dropout)
        self.embed = nn.Linear(self.per_cell * len(self.columns), width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def core(self, scaled: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """The last hour's token."""
        tokens = self.embed(self._cells(scaled, mask, hours_since)) + statics[:, None]
        return torch.as_tensor(self.blocks(tokens + _time_code(tokens.shape[1], self.width).to(tokens))[:, -1])


def _time_code(hours: int, width: int) -> Tensor:
    before_h = torch.arange(hours - 1, -1, -1, dtype=torch.float32)[:, None]
    periods_h = 2.0 * torch.logspace(0.0, 2.0, width // 2)  # chosen: from 2 to 200 h
    phase = 2.0 * math.pi * before_h / periods_h
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


CORES = ("lstm", "gru", "gru-d", "retain", "transformer")


def make_net(core: str, columns: Sequence[str], statics: Sequence[str], heads: Mapping[str, int], *, width: int = 48,
             dropout: float = 0.0, column_dropout: float = 0.0) -> ChartNet:  # fmt: skip
    """A network of that kind, untrained; raises ValueError for another than `CORES`."""
    shared = {"width": width, "dropout": dropout, "column_dropout": column_dropout}
    if core in ("lstm", "gru"):
        return Recurrent(columns, statics, heads, cell=core, width=width, dropout=dropout, column_dropout=column_dropout)
    kinds: dict[str, type[ChartNet]] = {"gru-d": GRUD, "retain": Attention, "transformer": Transformer}
    if core not in kinds:
        raise ValueError(f"a network's core must be one of {', '.join(CORES)}, not {core!r}")
    return kinds[core](columns, statics, heads, **shared)  # type: ignore[arg-type]
