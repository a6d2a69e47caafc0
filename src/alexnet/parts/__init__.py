"""Work over many images, cut into parts that any number of processes share, each written whole or not at all."""
