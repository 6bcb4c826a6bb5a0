"""What rules need to know beside the deal itself: one file for each kind, read for many deals at once."""
