"""What is asked and what was observed: study files, the data, and the rows a model sees."""
