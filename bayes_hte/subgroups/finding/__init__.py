"""The M-learner: distance, map, clusters, profile tree."""
