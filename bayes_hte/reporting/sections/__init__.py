"""The sections of the report; each turns the material of a run into HTML, or None to be skipped."""
