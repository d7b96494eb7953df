"""The sentence about a run, in parts: what is seen of the rows, the words, and the situations of both stages."""
