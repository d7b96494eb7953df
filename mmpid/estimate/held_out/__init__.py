"""Information atoms as the comparison of five nested predictors on samples that did not choose them."""
