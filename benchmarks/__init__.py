"""`make bench`: what one token call costs, as ratios to a constant view of the same server in the same run."""
