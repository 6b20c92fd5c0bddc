"""Speed as ratios: what modelkeep does, over a bound of the same machine in the same run."""
