"""The report of a study: page, tables, figures and verdicts, every byte a pure function of the results."""
