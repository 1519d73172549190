"""A study file from data to report, stage by stage, each saved when it is done."""
