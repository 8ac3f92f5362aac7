"""Transfer: weights of one encoder put into another model, and layers held still or not."""

from __future__ import annotations

from torch import nn

from medsim_perception.vision.nets import ConvolutionalEncoder


def copy_encoder(source: nn.Module, target: nn.Module) -> None:
    """Give `target.encoder` the weights of `source.encoder`; raises ValueError where they are not built alike."""
    try:
        encoder_of(target).load_state_dict(encoder_of(source).state_dict())
    except RuntimeError as error:
        raise ValueError(f"the two encoders are not built alike: {error}") from error


def freeze(model: nn.Module, stages: int | None = None) -> None:
    """Hold still the stem and the first `stages` stages of the model's encoder; thaw the rest.

    None holds the whole encoder still, also what makes features of its last maps (`place`), which no number of stages does.

    Raises ValueError where `stages` is negative or more than there are.
    """
    encoder = encoder_of(model)
    most = len(encoder.stages)
    held = most if stages is None else stages
    if not 0 <= held <= most:
        raise ValueError(f"stages must be 0 to {most} or None, not {stages}")
    thaw(model)
    for part in (encoder,) if stages is None else (encoder.stem, *encoder.stages[:held]):
        part.requires_grad_(False)


def thaw(model: nn.Module) -> None:
    """Let every weight of the model learn, whatever `freeze` has held still."""
    model.requires_grad_(True)


def encoder_of(model: nn.Module) -> ConvolutionalEncoder:
    """The model's encoder; raises TypeError where it has none of ours."""
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, ConvolutionalEncoder):
        raise TypeError(f"the model must have a ConvolutionalEncoder as `encoder`, not {type(encoder).__name__}")
    return encoder
