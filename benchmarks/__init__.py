"""Speed, measured against a peer in the same run: ratios and medians, never absolute promises."""
