"""Speed beside peers, as ratios measured in one run. Never part of the tests."""
