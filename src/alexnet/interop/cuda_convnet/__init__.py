"""cuda-convnet, the program behind the paper: its nets, parameters and checkpoints. NumPy only."""
