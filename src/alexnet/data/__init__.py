"""Files become batches; knows no network. NumPy, Pillow and the standard library only."""
