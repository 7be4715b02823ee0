"""What every room stands on: processes and their end, files, signals, exit statuses, units, JSON, the log."""
