"""The kinds of files that are understood, one file each. All have the same two words: is it one, and read it."""
