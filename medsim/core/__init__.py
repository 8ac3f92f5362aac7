"""The engine: one patient in scalar functions, stepped alone, in batches and on a GPU."""
