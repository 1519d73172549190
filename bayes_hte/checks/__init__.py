"""Checks: each in its own file, each returning a :class:`~bayes_hte.checks.base.CheckResult`."""
