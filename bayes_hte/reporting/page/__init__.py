"""The page of a report: blocks of HTML, figures, numbers and words."""
