"""Small networks that read sequences: convolutions along the chain, and attention that says where an answer was found.

All take encoded sequences (n, length, letters) of floats as `encoding` makes them, and are normalised within one sequence (GroupNorm),
never over a batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over groups of about eight channels of one sequence."""
    groups = max(g for g in range(1, max(1, channels // 8) + 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def check_encoded(x: Tensor, letters: int, length: int | None = None) -> None:
    """Raise ValueError unless x is (n, length, letters) of floats."""
    if x.ndim != 3 or x.shape[2] != letters or (length is not None and x.shape[1] != length) or not x.is_floating_point():
        wanted = f"(n, {length or 'length'}, {letters})"
        raise ValueError(f"encoded sequences must be floats of the shape {wanted}, not {tuple(x.shape)} {x.dtype}")


class ConvBlock(nn.Module):
    """A convolution along the chain that keeps its length, normalised; a short cut where the channels allow one."""

    def __init__(self, inputs: int, outputs: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, width, padding=width // 2, bias=False)
        self.norm = group_norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Channels along the chain, (n, outputs, length)."""
        y: Tensor = self.dropout(functional.relu(self.norm(self.conv(x))))
        return torch.add(x, y) if self.shortcut else y


class AttentionPool(nn.Module):
    """Heads that each look along the chain and average its channels by where they look (Bahdanau et al. 2015), with learned places.

    In: (n, channels, length). Out: (n, heads * channels), and the weights, (n, heads, length), which sum to 1 along the chain.
    """

    def __init__(self, channels: int, heads: int, length: int) -> None:
        super().__init__()
        self.scores = nn.Conv1d(channels, heads, 1)
        self.places = nn.Parameter(torch.zeros(heads, length))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Averages and where they were taken."""
        weights = torch.softmax(self.scores(x) + self.places, dim=2)
        return torch.einsum("nhl,ncl->nhc", weights, x).flatten(1), weights


class WindowNet(nn.Module):
    """Classes of windows of fixed length, by what was found place by place and on average.

    After the convolutions a few channels are kept at every place and answered linearly, place by place; attention heads add averages over
    the window for what may lie anywhere.
    """

    def __init__(
        self,
        letters: int,
        length: int,
        classes: int,
        *,
        channels: int = 32,
        widths: tuple[int, ...] = (9, 5),
        kept: int = 8,
        heads: int = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.letters, self.length = letters, length
        sizes = (letters, *[channels] * len(widths))
        self.blocks = nn.Sequential(*(ConvBlock(a, b, w, dropout) for a, b, w in zip(sizes, sizes[1:], widths, strict=False)))
        self.kept = nn.Conv1d(channels + letters, kept, 1)
        self.pool = AttentionPool(channels, heads, length)
        self.answer = nn.Sequential(nn.Dropout(dropout), nn.Linear(kept * length + heads * channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, classes), from encoded sequences (n, length, letters)."""
        return self.read(x)[0]

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, (n, classes), and where each head looked, (n, heads, length)."""
        check_encoded(x, self.letters, self.length)
        x = x.transpose(1, 2)
        maps = self.blocks(x)
        pooled, weights = self.pool(maps)
        placed = functional.relu(self.kept(torch.cat([maps, x], 1))).flatten(1)
        return self.answer(torch.cat([placed, pooled], 1)), weights


class Committee(nn.Module):
    """Several nets of one kind that answer together: the logarithm of their mean chances, (n, classes)."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise ValueError("a committee needs at least one member")
        self.members = nn.ModuleList(members)

    def votes(self, x: Tensor) -> Tensor:
        """The logits of each member, (members, n, classes): what each is trained by."""
        return torch.stack([member(x) for member in self.members])

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the mean chances, (n, classes); their softmax is the mean chance itself."""
        return torch.logsumexp(self.votes(x).log_softmax(2), 0) - math.log(len(self.members))


class ReadEvidence(NamedTuple):
    """What reads say of each site, summed over a patient's reads."""

    counts: Tensor  # (n, sites, 2): soft numbers of reads that show the first and the second allele
    reads: Tensor  # (n, r, sites, 2): the share of each read


class GenotypeNet(nn.Module):
    """Genotypes from unaligned reads of unknown strand: each read is recognised by itself, then the evidence is counted.

    A read's two strands pass the same convolutions and the better match wins at each filter, so the answer cannot depend on the strand.
    The read net gives the chance that a read shows allele 1 or 2 of each site, or none of them (a place that was not covered); their sums
    over a patient's reads, in any order, give the chances of 0, 1 and 2 copies of the second allele at each site.
    """

    def __init__(self, sites: int, *, channels: int = 48, width: int = 15, hidden: int = 48, evidence: int = 24) -> None:
        super().__init__()
        self.sites = sites
        self.motifs = nn.Conv1d(4, channels, width, bias=True)
        self.read_answer = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * sites + 1))
        self.caller = nn.Sequential(nn.Linear(5, evidence), nn.ReLU(), nn.Linear(evidence, evidence), nn.ReLU(), nn.Linear(evidence, 3))
        self.site_bias = nn.Parameter(torch.zeros(sites, 3))

    def read_logits(self, reads: Tensor) -> Tensor:
        """Logits of one read each, (n, 2 sites + 1): (site 0 allele 1, site 0 allele 2, site 1 allele 1, ..., none)."""
        check_encoded(reads, 4)
        x = reads.transpose(1, 2)
        forward = self.motifs(x).amax(2)
        backward = self.motifs(x.flip(1, 2)).amax(2)
        answer: Tensor = self.read_answer(torch.maximum(forward, backward))
        return answer

    def forward(self, reads: Tensor, present: Tensor) -> Tensor:
        """Logits of 0, 1, 2 copies, (n, sites, 3), from reads (n, r, length, 4) and which of them exist, (n, r) bool."""
        return self.call(self.gather(reads, present).counts)

    def gather(self, reads: Tensor, present: Tensor) -> ReadEvidence:
        """The evidence of reads (n, r, length, 4), those that exist (n, r) only."""
        if reads.ndim != 4 or present.shape != reads.shape[:2] or present.dtype != torch.bool:
            raise ValueError(
                f"reads must be (n, r, length, 4) and present (n, r) bool, not {tuple(reads.shape)} and {tuple(present.shape)}"
            )
        shares = self.shares(self.read_logits(reads[present]), present)
        return ReadEvidence(shares.sum(1), shares)

    def counted(self, logits: Tensor, present: Tensor) -> Tensor:
        """Counts (n, sites, 2) from the logits of the reads that exist, in the order of `present` (n, r)."""
        return self.shares(logits, present).sum(1)

    def shares(self, logits: Tensor, present: Tensor) -> Tensor:
        """What each read shows of each site and allele, (n, r, sites, 2)."""
        chances = torch.softmax(logits, dim=1)[:, :-1]
        shares = chances.new_zeros((*present.shape, self.sites * 2))
        shares[present] = chances
        return shares.view(*present.shape, self.sites, 2)

    def call(self, counts: Tensor) -> Tensor:
        """Logits of 0, 1, 2 copies, (n, sites, 3), from counts (n, sites, 2)."""
        first, second = counts.unbind(2)
        total = first + second
        balance = (second + 0.5) / (total + 1.0)
        features = torch.stack([torch.log1p(first), torch.log1p(second), balance, torch.logit(balance), total.sqrt() * (balance - 0.5)], 2)
        answer: Tensor = self.caller(features) + self.site_bias
        return answer


class MutationNet(nn.Module):
    """Mutations at known sites of an aligned protein, and what they mean together.

    Convolutions read the neighbourhood of each site; a small linear answer for each site says which of its mutations are there; all sites'
    answers together give the classes (drugs to which the virus is resistant): each mutation by itself, and a hidden layer for combinations.
    """

    def __init__(
        self, letters: int, sites: Tensor, site_of_mutation: Tensor, classes: int, *, channels: int = 24, width: int = 3, hidden: int = 64
    ) -> None:
        super().__init__()
        self.letters = letters
        self.register_buffer("sites", sites.clone(), persistent=False)
        self.register_buffer("site_of_mutation", site_of_mutation.clone(), persistent=False)
        self.sites: Tensor
        self.site_of_mutation: Tensor
        mutations = len(site_of_mutation)
        self.blocks = nn.Sequential(ConvBlock(letters, channels, 1), ConvBlock(channels, channels, width))
        self.weight = nn.Parameter(torch.randn(mutations, channels + letters) * 0.05)
        self.bias = nn.Parameter(torch.full((mutations,), -2.0))
        self.alone = nn.Linear(mutations, classes)
        self.together = nn.Sequential(nn.Linear(mutations, hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of mutations (n, mutations) and of classes (n, classes) from encoded proteins (n, length, letters)."""
        check_encoded(x, self.letters)
        maps = torch.cat([self.blocks(x.transpose(1, 2)).transpose(1, 2), x], dim=2)[:, self.sites[self.site_of_mutation]]
        mutations = (maps * self.weight).sum(2) + self.bias
        chances = torch.sigmoid(mutations)
        return mutations, self.alone(chances) + self.together(chances)
