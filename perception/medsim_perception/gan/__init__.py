"""Generative adversarial nets, and the measurements that decide whether their images are worth anything.

`nets` and `conditional` make images of a class, `cycle_nets` and `cycle` carry images of one scanner over to another without pairs.
`distances`, `diversity` and `stability` say how good and how varied the images are and how the training went; `protocol` asks the one
question that counts: does a classifier that also learns from them do better than one that has plain balanced sampling. `gate` lets them
in only where they help.
"""
