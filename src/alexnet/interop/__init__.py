"""Other people's files, both ways: names and arrays. No torch."""
