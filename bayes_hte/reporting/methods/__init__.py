"""The methods text of a report, and its references."""
