"""Where things are in an image.

A small U-Net (`unet`), its loss (`losses`), what tidies its masks (`postprocessing`), pictures of them (`overlay`), and the recipe
`chest-segmentation` (`chest`).
"""
