"""DNA and protein sequences as state: encoders, small networks, simulated reads and viruses, and recipes."""
