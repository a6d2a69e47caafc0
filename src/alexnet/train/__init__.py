"""A run: one row of each of three tables (net, recipe, data set) becomes a folder of weights and measurements."""
