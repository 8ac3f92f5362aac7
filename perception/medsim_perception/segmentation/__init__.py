"""Where things are in an image: a small U-Net, its loss, what tidies its masks, and pictures of them."""
