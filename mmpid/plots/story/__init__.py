"""The sentence about a run, in parts: a view of the rows, the words, and the situations of both stages."""
