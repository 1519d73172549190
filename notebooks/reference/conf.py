"""Configuration of the reference: docstrings of the package, read by Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path

import bayes_hte

sys.path.insert(0, str(Path(__file__).parent))

project = "bayes_hte"
version = release = bayes_hte.__version__
html_title = f"bayes_hte {release}: reference"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "from_code"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1080px", "sidebar_width": "240px", "show_powered_by": False}
html_show_copyright = False
html_copy_source = False
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True

# Types in docstrings are prose ("DataFrame, one row per unit"); links come from the signatures.
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

# Every reference must resolve, but for those to other packages, whose pages are elsewhere, to the
# inside of this one, and names that stand for types.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(arviz|matplotlib|np|numpy|pandas|pd|pm|pymc|pytensor|sklearn|xarray|xr)\b.*"),
    ("py:.*", r"(collections|pathlib)\..*|ELPDDataLOO|NotFittedError|Path"),
    ("py:.*", r"bayes_hte\.(components|surfaces|fitting\.effects_of_fit)\b.*"),
    ("py:.*", r"bayes_hte\.mixtures\.likelihood\.law\b.*"),
    (
        "py:.*",
        r"bayes_hte\.(study\.spec\.(Prior|Role|Outcome)Spec|reporting\.results\.(Direction|Interval))",
    ),
    ("py:mod", r"bayes_hte\..*"),
    ("py:.*", r"bayes_hte\.(study\.missing\.Flow|reporting\.arms\.ArmResults)|ArmResults"),
    ("py:class", r"T|AssignmentName|Better|EffectName|Estimator|EstimandName|Rule|.*\._\w+"),
]
