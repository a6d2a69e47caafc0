"""Caffe's files, both ways: definitions of nets, trained nets, mean images."""
