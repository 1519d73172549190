"""Figures show themselves in a notebook, and do not stay in pyplot's memory."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from bayes_hte.plots import plot_love


def test_a_figure_is_a_picture_without_pyplot():
    drawn = plot_love(pd.DataFrame({"raw": [0.2, -0.1]}, index=["age", "sex"]))
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert plt.get_fignums() == []
