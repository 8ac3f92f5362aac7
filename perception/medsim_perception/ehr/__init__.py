"""Charts become state: tables with gaps, the networks that read them, and what they are trained to answer."""
